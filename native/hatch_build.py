"""Build hook of the wheel: compiles the native program with cargo and puts it beside the console script.

`REELWAY_NATIVE` decides what happens without a working Rust toolchain:

* `auto` (default): the package installs without the native program and `reelway doctor` says what is missing.
* `require`: the build fails. Meant for continuous integration and images.
* `off`: cargo is not called at all.
"""

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAM = "reelway-transcode"
MODES = ("auto", "require", "off")


class CargoHook(BuildHookInterface[Any]):
    """Adds the native program to the wheel as a script, and the platform to the wheel's tag."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Runs before the wheel is assembled; `version` is `editable` or `standard`."""
        mode = os.environ.get("REELWAY_NATIVE") or "auto"
        if mode not in MODES:
            raise ValueError(f"REELWAY_NATIVE is {mode!r}; it must be one of {', '.join(MODES)}")
        if mode == "off" or self.target_name != "wheel":
            return
        try:
            program = self._compile(release=version != "editable", patient=mode == "require")
        except (OSError, subprocess.CalledProcessError, LookupError) as error:
            if mode == "require":
                raise
            self.app.display_warning(f"{PROGRAM} is left out of this build, transcoding will not work: {error}")
            return
        build_data["shared_scripts"][program] = PROGRAM
        build_data["pure_python"] = False
        # No extension module is inside, so any Python 3 will do; only the platform matters.
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().translate(str.maketrans('-.', '__'))}"

    def _compile(self, *, release: bool, patient: bool) -> str:
        """Compiles the program and returns its path.

        Raises OSError without cargo, CalledProcessError when cargo fails, LookupError when it built no such program.
        """
        command = ["cargo", "build", "--locked", "--message-format=json-render-diagnostics", "--bin", PROGRAM]
        if release:
            command.append("--release")
        environment = dict(os.environ)
        if not patient:
            # Without a route to the crates registry cargo would retry for minutes before it gives up.
            environment.setdefault("CARGO_NET_RETRY", "1")
        completed = subprocess.run(
            command, cwd=Path(self.root, "native"), env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        # cargo names its artefacts itself, so the path is right under any CARGO_TARGET_DIR.
        for message in map(json.loads, completed.stdout.splitlines()):
            if message["reason"] == "compiler-artifact" and message["target"]["name"] == PROGRAM:
                executable: str | None = message["executable"]
                if executable:
                    return executable
        raise LookupError(f"cargo built no program named {PROGRAM}")
