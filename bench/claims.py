"""`make bench-claims`: optima, programs, certificates, evaluations, the budget curve, and the peers side by side.

Each section can be run alone with --only; what was measured replaces its own figures in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from claims_curve import curve
from claims_exact import certificates, optima, programs
from claims_peers import peers
from claims_setting import Setting
from claims_speed import evaluations, population
from record import Measurement, record

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=12_000, help="claims of a population")
    parser.add_argument("--cases", type=int, default=200, help="claims that are proven, and that programs are timed on")
    parser.add_argument("--seeds", type=int, default=5, help="populations of the budget curve")
    parser.add_argument("--curve-cases", type=int, default=60, help="claims of each of them")
    parser.add_argument("--denied", type=int, default=50, help="denied claims that the peers attack")
    parser.add_argument("--peers", type=Path, default=ROOT / "runs" / "bench-claims", help="the peers' environment")
    parser.add_argument("--only", action="append", choices=tuple(SECTIONS), help="this section; may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="print, and write nothing down")
    arguments = parser.parse_args()
    for name in arguments.only or SECTIONS:
        started = time.perf_counter()
        found = SECTIONS[name](arguments)
        for item in found:
            print(f"{item.name}: {item.value:.4g} {item.unit}", flush=True)
        if not arguments.dry_run:
            record(found)
        print(f"[{name}: {time.perf_counter() - started:.0f} s]", flush=True)


@cache
def _setting(claims: int) -> Setting:
    return Setting(claims, 0)


SECTIONS: dict[str, Callable[[argparse.Namespace], list[Measurement]]] = {
    "programs": lambda a: programs(_setting(a.claims), a.cases),
    "evaluations": lambda a: evaluations(_setting(a.claims), 60),
    "population": lambda a: population(100_000),
    "optima": lambda a: optima(_setting(a.claims), a.cases),
    "certificates": lambda a: certificates(_setting(a.claims), a.cases),
    "peers": lambda a: peers(_setting(a.claims), a.denied, a.peers),
    "curve": lambda a: curve(a.claims, a.seeds, a.curve_cases),
}


if __name__ == "__main__":
    main()
