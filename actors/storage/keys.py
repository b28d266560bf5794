"""The names of things in storage. A key is a relative path of safe segments joined by `/`."""

import re

WORK = "work"
OUT = "out"
UPLOADS = "uploads"
MANIFEST = "manifest.json"

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_UPLOAD = re.compile(r"u\d{2}-[0-9a-z]{26}")


def check_key(key: str) -> str:
    """The key itself; raises ValueError when a segment could leave the storage's root."""
    for segment in key.split("/"):
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(f"not a storage key: {key!r}")
    return key


def work_folder(job: str, fence: str) -> str:
    """Where one lease writes the outputs of its stage."""
    return check_key(f"{WORK}/{job}/{fence}")


def out_folder(job: str, fence: str) -> str:
    """Where one lease of store publishes."""
    return check_key(f"{OUT}/{job}/{fence}")


def upload_folder(upload: str) -> str:
    """Where an upload lies; raises ValueError when the text is not an upload's id."""
    if not _UPLOAD.fullmatch(upload):
        raise ValueError(f"not an upload: {upload!r}")
    return f"{UPLOADS}/{upload}"


def upload_data(upload: str) -> str:
    """The uploaded bytes."""
    return f"{upload_folder(upload)}/data"


def upload_meta(upload: str) -> str:
    """What is known about the upload, see `uploads.UploadMeta`. It is written last."""
    return f"{upload_folder(upload)}/meta.json"
