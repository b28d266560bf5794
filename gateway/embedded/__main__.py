"""The detached supervisor that a command starts: `python -m gateway.embedded DATA_DIRECTORY`.

Exit status 0 after a normal life, 75 when another supervisor serves the directory already, 1 when it cannot start;
then one line on stdout says why: `{"code", "message", "suggestion"}`.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

from gateway.embedded.data_directory import DataDirectory
from gateway.embedded.failure import CannotStart
from gateway.embedded.instance import Instance
from gateway.embedded.supervisor import FOR_COMMANDS, AlreadyServed, Supervisor

ALREADY_SERVED = 75
CANNOT_START = 1


def _let_go_of_stdout(_instance: Instance) -> None:
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a descriptor is wanted, not a file's content
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def main() -> int:
    """Serve until no command uses the data directory."""
    try:
        Supervisor(DataDirectory(Path(sys.argv[1])), FOR_COMMANDS).run(_let_go_of_stdout)
    except AlreadyServed:
        return ALREADY_SERVED
    except CannotStart as failure:
        body = {"code": failure.code, "message": failure.message, "suggestion": failure.suggestion}
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(json.dumps(body) + "\n")
            sys.stdout.flush()
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
