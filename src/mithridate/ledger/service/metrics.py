"""Figures for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The service's figures, in a registry of their own, so that two services in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mithridate_requests_total", "Requests answered.", ("operation", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "mithridate_request_seconds", "Time to the answer's start.", ("operation",), registry=self.registry
        )
        self.verdicts = Counter(
            "mithridate_verdicts_total", "Judgements given, by verdict.", ("verdict",), registry=self.registry
        )
        self.entries = Counter(
            "mithridate_entries_total", "Entries logged, by kind.", ("kind",), registry=self.registry
        )
        self.two_identities = Counter(
            "mithridate_two_identities_total",
            "Judgements of images whose pixels are logged under another identity too.",
            registry=self.registry,
        )
        self.size = Gauge("mithridate_log_size", "Entries in the log.", registry=self.registry)
        self.audit_failures = Gauge(
            "mithridate_audit_failures", "Audit events that could not be delivered.", registry=self.registry
        )

    def text(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self.registry)
