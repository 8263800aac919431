"""Figures of a gate for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest

from mithridate.ledger.gate.events import Event, TwoIdentitiesAlert


class GateMetrics:
    """Counts a gate's decisions and alerts: one of its listeners."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter(
            "mithridate_gate_decisions_total",
            "Requests decided, by code: admitted, or why not.",
            ("code",),
            registry=self.registry,
        )
        self._alerts = Counter(
            "mithridate_gate_two_identities_total",
            "Images whose pixels are logged under another identity too.",
            registry=self.registry,
        )

    def __call__(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, TwoIdentitiesAlert):
            self._alerts.inc()
        else:
            self._decisions.labels(event.code).inc()

    def text(self) -> bytes:
        """All figures in Prometheus' text form."""
        return generate_latest(self.registry)
