"""The version of this installation."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """As in pyproject.toml; `0` where the packages are imported without having been installed."""
    try:
        return version("reelway")
    except PackageNotFoundError:
        return "0"
