"""`reelway dead …`: jobs that failed for good. One file a verb; `selection` is which of them is meant."""

import argparse

from gateway.command.arguments import add_common
from gateway.command.dead import counting, export, listing, purging, quarantined, replaying, showing

_VERBS = {
    "list": (listing, "list dead letters, newest first"),
    "count": (counting, "count them by stage, reason and error"),
    "show": (showing, "show one with everything that is left of its job"),
    "replay": (replaying, "let them run again, with full budgets and a new deadline"),
    "purge": (purging, "give them up: their files are deleted and they are forgotten"),
    "quarantined": (quarantined, "list jobs whose data could not be read, so that nothing runs them again"),
    "export": (export, "write them to stdout in full, one JSON object a line"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verbs and their arguments."""
    parser.description = "Dead letters: jobs that failed for good, of all tenants."
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=type(parser))
    for name, (module, summary) in _VERBS.items():
        verb = verbs.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
        # Given before the verb or behind it: what is not given behind it must not undo what was given before.
        add_common(verb, default=argparse.SUPPRESS)
        module.add_arguments(verb)
        verb.set_defaults(run_verb=module.run)


def run(arguments: argparse.Namespace) -> int:
    """What the verb does."""
    return int(arguments.run_verb(arguments))
