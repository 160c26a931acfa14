"""How commands declare what they take, and how a command line is read: plain lines here, all others by typer."""
