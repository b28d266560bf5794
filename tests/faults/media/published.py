"""What the storage says that was published: the folders with a manifest, and whether they hold what it names."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from actors.storage.keys import MANIFEST, OUT


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that a manifest lists. `found_sha256` and `found_bytes` are None when it is not there."""

    file: str
    sha256: str
    size_bytes: int
    found_sha256: str | None
    found_bytes: int | None

    @property
    def whole(self) -> bool:
        return (self.found_sha256, self.found_bytes) == (self.sha256, self.size_bytes)


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One folder `out/<job>/<fence>` that has a manifest."""

    job: str
    fence: str
    path: str
    """Of the folder, within the storage; a completed job's result names it."""
    manifest: dict[str, Any]
    files: tuple[PublishedFile, ...]

    @property
    def whole(self) -> bool:
        """Every listed file is there with its digest, and the manifest is this job's."""
        named: bool = self.manifest.get("job") == self.job
        return named and bool(self.files) and all(file.whole for file in self.files)


def published(storage: Path) -> dict[str, list[Publication]]:
    """Every publication under the storage's root, by job. What the collector deletes meanwhile is left out."""
    found: dict[str, list[Publication]] = {}
    for path in sorted((storage / OUT).glob(f"*/*/{MANIFEST}")):
        publication = _read(storage, path)
        if publication is not None:
            found.setdefault(publication.job, []).append(publication)
    return found


def _read(storage: Path, path: Path) -> Publication | None:
    folder = path.parent
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        manifest = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        manifest = {"unreadable": str(error)}
    files = tuple(_look(folder, output) for output in manifest.get("outputs", ()))
    if not path.exists():
        return None  # the folder goes as a whole: what was missing of it means nothing
    return Publication(
        job=folder.parent.name,
        fence=folder.name,
        path=str(folder.relative_to(storage)),
        manifest=manifest,
        files=files,
    )


def _look(folder: Path, output: dict[str, Any]) -> PublishedFile:
    try:
        content = (folder / output["file"]).read_bytes()
    except FileNotFoundError:
        digest, size_bytes = None, None
    else:
        digest, size_bytes = hashlib.sha256(content).hexdigest(), len(content)
    return PublishedFile(
        file=output["file"],
        sha256=output["sha256"],
        size_bytes=output["size_bytes"],
        found_sha256=digest,
        found_bytes=size_bytes,
    )
