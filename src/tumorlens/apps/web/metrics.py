"""What the service counts, in the text format of Prometheus. Nothing of any picture."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

__all__ = ["MEDIA_TYPE", "Metrics"]

MEDIA_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16)


class Metrics:
    """The counters of one service.

    Parameters
    ----------
    waiting, working, held
        Give the slices that wait, the requests at work and the bytes that are held.
    """

    def __init__(
        self, waiting: Callable[[], int], working: Callable[[], int], held: Callable[[], int]
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "tumorlens_requests", "Requests answered.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "tumorlens_request_seconds",
            "How long requests took.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "tumorlens_batch_slices",
            "Slices that went through the network together.",
            buckets=_SIZES,
            registry=registry,
        )
        gauges = {
            "tumorlens_slices_waiting": ("Slices that wait for the network.", waiting),
            "tumorlens_requests_at_work": ("Requests that are read or answered.", working),
            "tumorlens_bytes_held": ("Bytes of uploads in memory.", held),
        }
        for name, (text, value) in gauges.items():
            Gauge(name, text, registry=registry).set_function(value)
        ProcessCollector(registry=registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, size: int) -> None:
        """Count a batch."""
        self._batches.observe(size)

    def text(self) -> bytes:
        """Write all of it down."""
        return generate_latest(self._registry)
