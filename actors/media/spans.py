"""How the percent of a whole job is divided among its stages."""

from actors.media.task import Spans

URL_SPANS: Spans = {
    "ingest": (0.0, 2.0),
    "fetch": (2.0, 35.0),
    "transcode": (35.0, 95.0),
    "store": (95.0, 100.0),
}
UPLOAD_SPANS: Spans = {
    "ingest": (0.0, 2.0),
    "fetch": (2.0, 8.0),
    "transcode": (8.0, 95.0),
    "store": (95.0, 100.0),
}


def spans_for(*, upload: bool) -> Spans:
    """The spans of a job: fetching an upload is nearly free, fetching an address is not."""
    return dict(UPLOAD_SPANS if upload else URL_SPANS)


def overall(spans: Spans, stage: str, done: float) -> float:
    """Percent of the whole job when `done` (0..1, clamped) of a stage is finished."""
    start, end = spans[stage]
    return start + (end - start) * min(max(done, 0.0), 1.0)
