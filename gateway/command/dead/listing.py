"""`reelway dead list`: the newest dead letters."""

import argparse
import sys

import msgspec

from gateway.command.admin import AdminClient, Letter
from gateway.command.calls import Calls
from gateway.command.connection import Connection, load_settings
from gateway.command.dead.selection import add_filter, filter_of, read_pages
from gateway.command.failure import ExitCode
from gateway.command.times import positive

_letter = msgspec.json.Decoder(Letter)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `dead list`."""
    parser.add_argument("--limit", metavar="N", type=positive, default=20, help="how many at most; default 20")
    add_filter(parser)


def run(arguments: argparse.Namespace) -> int:
    """List, newest first."""
    wanted = filter_of(arguments)
    with Connection(load_settings(arguments.data)) as connection, Calls(connection) as calls:
        found, has_more = _read(AdminClient(calls), wanted, arguments.limit)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode({"dead": found}).decode() + "\n")
        return ExitCode.DONE
    for document in found:
        sys.stdout.write(_line(_letter.decode(document)) + "\n")
    if has_more:
        sys.stderr.write(f"these are the newest {len(found)}; `reelway dead count` counts them, --limit shows more\n")
    return ExitCode.DONE


def _read(client: AdminClient, wanted: dict[str, str], limit: int) -> tuple[list[msgspec.Raw], bool]:
    def page(parameters: dict[str, str]) -> tuple[tuple[msgspec.Raw, ...], str | None]:
        letters = client.letters(wanted | parameters)
        return letters.dead, letters.next

    return read_pages(page, limit)


def _line(letter: Letter) -> str:
    place = f"{letter.stage} {letter.why}"
    return f"{letter.job}  {letter.died_at}  {place:<22} {letter.code:<20} {letter.tenant}"
