"""From many inputs to many outputs: which they are, who does them, what was done already, and what to say of it."""
