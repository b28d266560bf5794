"""Arguments that several subcommands share."""

import argparse
from pathlib import Path


def add_common(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """What every subcommand takes. `default` (argparse.SUPPRESS) is for a verb of a subcommand that has them too."""
    parser.add_argument(
        "--json", action="store_true", default=default or False, help="machine-readable output on stdout"
    )
    parser.add_argument(
        "--data", metavar="DIR", type=Path, default=default, help="the data directory (REELWAY_DATA_DIR)"
    )


def add_wish(parser: argparse.ArgumentParser) -> None:
    """What to make of a source."""
    parser.add_argument("--to", metavar="FORMAT", help="mp3 (default), m4a, opus, flac, wav, mp4 or webm")
    parser.add_argument("--quality", metavar="QUALITY", help="a bit rate such as 192k, or a height such as 720p")
