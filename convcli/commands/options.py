"""The option types that commands share, so that `-k` means the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.", rich_help_panel="Report")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.", rich_help_panel="Report")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.", rich_help_panel="Report")]
