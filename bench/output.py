"""Where a scenario's figures go: `--json FILE` and `--markdown FILE`, without the second to standard output."""

import argparse
import sys
from pathlib import Path

import msgspec


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--json` and `--markdown`."""
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)


def write(options: argparse.Namespace, report: msgspec.Struct, text: str) -> None:
    """Writes the report as the options say; `text` is its Markdown."""
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    if options.markdown is not None:
        options.markdown.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)
