"""What the health checks, the metrics and the description of the interface say of themselves."""

from gateway.http.health import Liveness, Readiness
from gateway.http.metrics import CONTENT_TYPE
from gateway.http.queries import NoQuery
from gateway.openapi.operation import Answer, Content, Operation

TAG = "Health"

LIVEZ = Operation(
    name="livez",
    tag=TAG,
    summary="Whether the process lives",
    answers=(Answer(200, "The event loop turns.", (Content(Liveness, examples={"alive": Liveness(live=True)}),)),),
    key="none",
)
READYZ = Operation(
    name="readyz",
    tag=TAG,
    summary="Whether it can serve",
    description="Redis answers, events arrive in time, and the process is not being stopped.",
    answers=(
        Answer(
            200,
            "It can.",
            (Content(Readiness, examples={"ready": Readiness(True, redis=True, pump_lag_s=0.002, draining=False)}),),
        ),
        Answer(
            503,
            "It cannot; the parts say why.",
            (Content(Readiness, examples={"stopping": Readiness(False, redis=True, pump_lag_s=0.002, draining=True)}),),
        ),
    ),
    key="none",
)
METRICS = Operation(
    name="metrics",
    tag=TAG,
    summary="Metrics for Prometheus",
    description="docs/operations.md lists them.",
    answers=(Answer(200, "The text format.", (Content(str, CONTENT_TYPE.partition(";")[0]),)),),
)
DOCUMENT = Operation(
    name="openapi",
    tag=TAG,
    summary="This description",
    answers=(Answer(200, "An OpenAPI 3.1 document.", (Content(dict),)),),
    query=NoQuery,
    problems=("INVALID_PARAMETER",),
    key="none",
)
PAGE = Operation(
    name="docs",
    tag=TAG,
    summary="This description as a page",
    answers=(Answer(200, "HTML without scripts, which loads nothing.", (Content(str, "text/html"),)),),
    query=NoQuery,
    problems=("INVALID_PARAMETER",),
    key="none",
)
