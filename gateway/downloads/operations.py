"""What the routes of outputs say of themselves."""

from gateway.downloads.ranges import IF_MATCH, IF_MODIFIED_SINCE, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE
from gateway.http.queries import NoQuery
from gateway.http.requests import IF_NONE_MATCH
from gateway.jobs.documents import OutputsDocument
from gateway.jobs.operations import AN_OUTPUT, JOB
from gateway.openapi.operation import Answer, Content, Operation, header, part

TAG = "Outputs"
_ANY = "*/*"
_ABOUT_THE_FILE = (
    header("ETag", "The file's SHA-256; strong.", example=f'"{AN_OUTPUT.sha256}"'),
    header("Last-Modified", "When it was published.", example="Sat, 31 Jan 2026 12:00:31 GMT"),
    header("Accept-Ranges", "Ranges of bytes can be asked for.", example="bytes"),
    header("Content-Disposition", "Saves it under its name.", example='attachment; filename="talk.mp3"'),
)

LISTING = Operation(
    name="listOutputs",
    tag=TAG,
    summary="List the files of a result",
    description="Also of a job that has been deleted, for as long as its files are kept.",
    path=(JOB,),
    query=NoQuery,
    answers=(
        Answer(
            200,
            "The files; none before the job has completed.",
            (Content(OutputsDocument, examples={"one file": OutputsDocument((AN_OUTPUT,))}),),
        ),
    ),
    problems=("INVALID_PARAMETER", "JOB_NOT_FOUND", "STORE_UNAVAILABLE"),
)
DOWNLOAD = Operation(
    name="downloadOutput",
    tag=TAG,
    summary="Download a file",
    description="Whole or one range of it, as RFC 9110 has it. Served as an attachment, sandboxed.",
    path=(JOB, part("name", "The file's name.", example="talk.mp3")),
    query=NoQuery,
    headers=(RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE),
    answers=(
        Answer(200, "The file, in its own media type.", (Content(None, _ANY),), _ABOUT_THE_FILE),
        Answer(
            206,
            "The range that was asked for.",
            (Content(None, _ANY),),
            (*_ABOUT_THE_FILE, header("Content-Range", "Which bytes of how many.", example="bytes 0-1023/14400812")),
        ),
        Answer(304, "The file is the one that is known.", headers=_ABOUT_THE_FILE),
    ),
    problems=(
        "INVALID_PARAMETER",
        "JOB_NOT_FOUND",
        "OUTPUT_NOT_FOUND",
        "PRECONDITION_FAILED",
        "RANGE_NOT_SATISFIABLE",
        "OUTPUT_DAMAGED",
        "STORE_UNAVAILABLE",
    ),
)
