"""What the routes under `/v1/uploads` say of themselves."""

from gateway.http.queries import NoQuery
from gateway.http.responses import LOCATION
from gateway.openapi.operation import Answer, Body, Content, Operation, part
from gateway.uploads.handlers import UploadDocument, UploadQuery

TAG = "Uploads"
_UPLOAD = part("upload", "The upload's id.", example="u00-01k9zq5w8r3v6t2yhx4n7m0pbc")
_EXAMPLE = UploadDocument(
    id="u00-01k9zq5w8r3v6t2yhx4n7m0pbc",
    name="talk.mp4",
    size_bytes=52_428_800,
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    expires_at="2026-02-01T12:00:00.250Z",
)

RECEIVE = Operation(
    name="upload",
    tag=TAG,
    summary="Upload a file",
    description="The raw body becomes a source that a job names as `upload:<id>`. Whole and durable when this is "
    "answered, or not there at all. The media type of the body does not matter.",
    query=UploadQuery,
    body=Body(Content(None, "application/octet-stream")),
    answers=(Answer(201, "The upload.", (Content(UploadDocument, examples={"a file": _EXAMPLE}),), (LOCATION,)),),
    problems=(
        "INVALID_PARAMETER",
        "UPLOAD_INCOMPLETE",
        "REQUEST_TIMEOUT",
        "UPLOAD_TOO_LARGE",
        "UNSUPPORTED_ENCODING",
        "UPLOAD_EMPTY",
        "DISK_FULL",
    ),
)
SHOW = Operation(
    name="showUpload",
    tag=TAG,
    summary="Read an upload",
    path=(_UPLOAD,),
    query=NoQuery,
    answers=(Answer(200, "The upload.", (Content(UploadDocument, examples={"a file": _EXAMPLE}),)),),
    problems=("INVALID_PARAMETER", "UPLOAD_NOT_FOUND"),
)
DELETE = Operation(
    name="deleteUpload",
    tag=TAG,
    summary="Delete an upload",
    description="A job that has not fetched it yet will fail.",
    path=(_UPLOAD,),
    query=NoQuery,
    answers=(Answer(204, "It is gone."),),
    problems=("INVALID_PARAMETER", "UPLOAD_NOT_FOUND"),
)
