"""Environments of the peers: one folder each, so that no two systems have to agree on a version of anything."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.systems.system import FOLDER, INSIDE, System

MARK = "reelway-bench.json"
OURS = FOLDER.parents[1]
"""What `bench` is imported from."""
REQUIREMENTS = {"python": "requirements.txt", "node": "package.json"}
BESIDE = ("redis", "hiredis", "uvloop", "coredis", "ioredis")
"""Named with a system's versions wherever they are installed, asked for or not: the figures depend on them."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class InstallError(RuntimeError):
    """An environment could not be made; the message ends with what the installer said."""


def where(system: System, environments: Path) -> Path:
    """Where this system's environment is, or will be."""
    return environments.absolute() / system.name


def _digest(system: System) -> str:
    """Of everything that decides what an installation holds."""
    wanted = (system.folder / REQUIREMENTS[system.language]).read_bytes()
    return hashlib.sha256(wanted + platform.python_version().encode()).hexdigest()


def is_installed(system: System, environments: Path) -> bool:
    """Whether an environment is there and is the one that the requirement file asks for now."""
    if system.language == "this":
        return True
    try:
        marked = json.loads((where(system, environments) / MARK).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(marked == {"digest": _digest(system)})


def install(system: System, environments: Path, say: Callable[[str], None]) -> None:
    """Makes the environment, from nothing, unless it is there already. Raises InstallError."""
    if is_installed(system, environments):
        return
    folder = where(system, environments)
    if folder.exists():
        if not (folder / MARK).is_file():
            raise InstallError(f"{folder} is in the way: it was not made by this bench")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("{}")
    say(f"{system.name}: installing into {folder}")
    if system.language == "python":
        _install_python(system, folder)
    else:
        _install_node(system, folder)
    (folder / MARK).write_text(json.dumps({"digest": _digest(system)}))


def _install_python(system: System, folder: Path) -> None:
    wanted = str(system.folder / REQUIREMENTS["python"])
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)], folder)
        _run([uv, "pip", "install", "--quiet", "--python", python, "-r", wanted], folder)
    else:
        _run([sys.executable, "-m", "venv", str(folder)], folder)
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], folder)


def _install_node(system: System, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise InstallError(f"{system.name} needs Node.js with npm on the PATH")
    shutil.copy(system.folder / REQUIREMENTS["node"], folder)
    _run([npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"], folder)


def _run(words: list[str], folder: Path) -> None:
    """Runs an installer in the new folder, so that no configuration of a checkout reaches it."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=_inherited(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InstallError(f"{words[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}")


def _inherited() -> dict[str, str]:
    """Our environment without what would lead another Python or Node into our own packages."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "NODE_PATH", "NODE_OPTIONS")
    }


def variables(system: System, environments: Path) -> dict[str, str]:
    """The environment variables of the system's processes."""
    inherited = _inherited()
    if system.language == "this":
        # The working folder is the system's own, so a checkout that is not installed would not find itself.
        paths = [str(OURS), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    folder = where(system, environments)
    if system.language == "node":
        # `require` follows NODE_PATH, `import` does not.
        return {**inherited, "NODE_PATH": str(folder / "node_modules"), "NODE_ENV": "production"}
    return {
        **inherited,
        "PATH": f"{folder / 'bin'}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(folder),
        "PYTHONPATH": str(INSIDE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def program(system: System, environments: Path, word: str) -> str:
    """The first word of a command, looked up in the system's environment."""
    if system.language == "this":
        return sys.executable if word == "python" else word
    folder = where(system, environments)
    inside = folder / ("bin" if system.language == "python" else "node_modules/.bin") / word
    if inside.exists():
        return str(inside)
    found = shutil.which(word) if system.language == "node" else None
    if found is None:
        raise FileNotFoundError(f"{system.name} has no program {word!r} in {folder}")
    return found


def versions(system: System, environments: Path) -> dict[str, str]:
    """What is installed: the language, what the requirement file names, and the clients of Redis beside it."""
    if system.language == "this":
        ours = {"python": platform.python_version()}
        for name in ("reelway", *BESIDE):
            try:
                ours[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return ours
    if system.language == "node":
        return _node_versions(system, environments)
    asked = (
        "import importlib.metadata as m, json, platform;"
        "print(json.dumps([platform.python_version(),"
        " {d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}]))"
    )
    python, installed = json.loads(_answer([program(system, environments, "python"), "-I", "-c", asked]))
    wanted = dict.fromkeys([*required(system), *BESIDE])
    return {"python": python, **{name: installed[name] for name in wanted if name in installed}}


def _node_versions(system: System, environments: Path) -> dict[str, str]:
    found = {"node": _answer([program(system, environments, "node"), "--version"]).strip().removeprefix("v")}
    for name in dict.fromkeys([*required(system), *BESIDE]):
        package = where(system, environments) / "node_modules" / name / "package.json"
        if package.is_file():
            found[name] = json.loads(package.read_bytes())["version"]
    return found


def _answer(words: list[str]) -> str:
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def required(system: System) -> dict[str, str]:
    """Package to version, as the requirement file pins them; extras are left out of the names."""
    text = (system.folder / REQUIREMENTS[system.language]).read_text()
    if system.language == "node":
        return msgspec.convert(json.loads(text)["dependencies"], dict[str, str])
    pinned = {}
    for line in text.splitlines():
        stated = line.partition("#")[0].strip()
        if stated:
            named, _, version = stated.partition("==")
            match = _NAME.match(named)
            pinned[match.group().lower().replace("_", "-") if match else named] = version
    return pinned
