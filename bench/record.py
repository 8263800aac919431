"""Where benchmarks are written down: docs/benchmarks.json and the page made from it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Measurement:
    """One figure.  `target` is what was asked for, in the same unit; None where nothing was."""

    name: str
    value: float
    target: float | None
    unit: str
    higher_is_better: bool
    command: str

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.higher_is_better else self.value <= self.target


def machine() -> str:
    """Kind and size of the machine, without its name."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores"


def record(measurements: Iterable[Measurement]) -> None:
    """Add or replace measurements by name, then write the page again."""
    file = DOCS / "benchmarks.json"
    known = {row["name"]: row for row in json.loads(file.read_text())} if file.exists() else {}
    for measurement in measurements:
        known[measurement.name] = asdict(measurement) | {
            "machine": machine(),
            "date": datetime.now(UTC).date().isoformat(),
        }
    rows = sorted(known.values(), key=lambda row: (row["command"], row["name"]))
    file.write_text(json.dumps(rows, indent=2) + "\n")
    (DOCS / "benchmarks.md").write_text(_page(rows))


def _page(rows: list[dict[str, object]]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Each section is written by its command; the same figures are in `benchmarks.json`. Machines are shared and",
        "noisy: a ratio was measured in one run, both sides on the same machine. A bold no: a target was missed.",
    ]
    for command, group in groupby(rows, key=lambda row: str(row["command"])):
        lines += [
            "",
            f"## {command}",
            "",
            "| what | value | target | met | machine, date |",
            "|---|---|---|---|---|",
        ]
        for row in group:
            known = {key: row[key] for key in ("name", "value", "target", "unit", "higher_is_better", "command")}
            item = Measurement(**known)  # type: ignore[arg-type]
            sign = ">=" if item.higher_is_better else "<="
            target = "" if item.target is None else f"{sign} {item.target:g}"
            met = {None: "", True: "yes", False: "**no**"}[item.met]
            lines.append(
                f"| {item.name} | {_number(item.value)} {item.unit} | {target} | {met} "
                f"| {row['machine']}, {row['date']} |"
            )
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Four digits, without an exponent where there is no need for one."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"
