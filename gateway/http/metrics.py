"""What the gateway counts. docs/operations.md lists the same names."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

_REQUEST_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

__all__ = ["CONTENT_TYPE", "GatewayMetrics"]


class GatewayMetrics:
    """The metrics of one gateway. Each has a registry of its own, so that several can live in one process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "reelway_gateway_requests_total", "Answered requests", ["route", "method", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "reelway_gateway_request_seconds",
            "Time to answer; streams and transfers are not in it",
            ["route"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self.streams = Gauge("reelway_gateway_streams", "Open event streams", ["transport"], registry=registry)
        self.stream_seconds = Histogram(
            "reelway_gateway_stream_seconds",
            "Life of event streams",
            ["transport"],
            buckets=(1, 10, 60, 300, 600, 900),
            registry=registry,
        )
        self.events_in = Gauge("reelway_gateway_events_read", "Durable events read from the feeds", registry=registry)
        self.events_out = Gauge(
            "reelway_gateway_events_delivered", "Events and progress handed to watchers", registry=registry
        )
        self.pump_lag_seconds = Gauge(
            "reelway_gateway_pump_lag_seconds", "How far the pump is behind", registry=registry
        )
        self.pump_restarts = Gauge("reelway_gateway_pump_restarts", "Times the pump was interrupted", registry=registry)
        self.holes = Gauge("reelway_gateway_feed_holes", "Times a feed could not be continued", registry=registry)
        self.openings = Counter(
            "reelway_gateway_stream_openings_total",
            "How streams began: snapshot, ring, log, resync, ended, shed",
            ["source"],
            registry=registry,
        )
        self.slow_disconnects = Counter(
            "reelway_gateway_slow_disconnects_total", "Streams given up because nothing was taken", registry=registry
        )
        self.reads = Gauge("reelway_gateway_job_reads", "Calls to Redis that read jobs for watchers", registry=registry)
        self.upload_bytes = Counter("reelway_gateway_upload_bytes_total", "Bytes of uploads", registry=registry)
        self.download_bytes = Counter("reelway_gateway_download_bytes_total", "Bytes of downloads", registry=registry)

    def render(self) -> bytes:
        """The text form of all metrics, with those of the process and of other roles in it."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)
