"""`make bench-ledger`: durable ingest, inclusion proofs, and how memory and proof time grow.

Takes about six minutes.  Both sides of a ratio are measured in one run, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from ledger_environment import python_with
from ledger_ingest import FLUSH_MILLISECONDS, PROCESSES, fill, ingest, measure, memory, submit, work
from ledger_proofs import fit, grown, plot, pymerkle
from record import DOCS, Measurement, record

COMMAND = "make bench-ledger"
SIZES = [2**power for power in range(10, 21)]
COMPARED = 2**16
PYMERKLE = "pymerkle==6.1.0"


def measure_ingest(folder: Path, arguments: argparse.Namespace) -> list[Measurement]:
    """On this machine's own disk, and on one whose flush takes as long as on the disks of many servers."""
    rows = []
    for place, slowed in (("", False), (f", a disk whose flush takes {FLUSH_MILLISECONDS} ms more (injected)", True)):
        found = measure(folder / f"ingest-{slowed}", arguments.entries, __file__, slowed=slowed)
        if found is None:
            continue
        titles = {
            "flushes": ("flushes of the disk", "/s"),
            "single": ("bare single-row SQLite commits of the same disk", "/s"),
            "alone": ("durable ingest, one entry after another", "entries/s"),
            "together": ("durable ingest with group commit", "entries/s"),
            "processes": (f"durable ingest with group commit, {PROCESSES} submitting processes", "entries/s"),
            "alone_ms": ("processor time of an entry committed alone", "ms"),
            "together_ms": ("processor time of an entry in group commit", "ms"),
            "processes_ms": (f"processor time of an entry, {PROCESSES} submitting processes", "ms"),
        }
        rows += [
            Measurement(f"ledger: {title}{place}", found[key], None, unit, unit != "ms", COMMAND)
            for key, (title, unit) in titles.items()
        ]
        title = f"ledger: ingest of {PROCESSES} processes against bare single-row commits{place}"
        rows.append(Measurement(title, found["processes"] / found["single"], 40, "x", True, COMMAND))
    return rows


def measure_proofs(folder: Path) -> list[Measurement]:
    points = grown(folder / "tiles", SIZES)
    for size, value, hashes in points:
        print(f"{size:>9,} entries: {value:.2f} us a proof of {hashes} hashes")
    start, slope, explained = fit(points)
    print(f"{start:.2f} us + {slope:.2f} us for each doubling, which explains {explained:.1%} of the variance")
    figures = DOCS / "figures"
    figures.mkdir(exist_ok=True)
    (figures / "ledger-proof-time.svg").write_text(plot(points))
    times = {size: value for size, value, _ in points}
    growth = times[SIZES[-1]] / times[SIZES[0]]
    ideal = SIZES[-1].bit_length() / SIZES[0].bit_length()
    rows = [
        Measurement("ledger: inclusion proof among 1,024 entries", times[2**10], None, "us", False, COMMAND),
        Measurement("ledger: inclusion proof among 1,048,576 entries", times[2**20], None, "us", False, COMMAND),
        Measurement(
            f"ledger: proof time at 2^20 over 2^10 entries (logarithms: {ideal:.2f})", growth, 3.5, "x", False, COMMAND
        ),
    ]
    python = python_with(PYMERKLE, "MITHRIDATE_PYMERKLE_PYTHON", folder / "pymerkle")
    if python is not None:
        peer = pymerkle(python, COMPARED, 3000, folder)
        for name, target in (("memory", 1), ("sqlite", 5)):
            ratio = 1e6 / times[COMPARED] / peer[name]
            title = f"ledger: proofs among {COMPARED:,} against {PYMERKLE.replace('==', ' ')}, {name}"
            rows.append(Measurement(title, ratio, target, "x", True, COMMAND))
    return rows


def measure_memory(folder: Path, arguments: argparse.Namespace) -> list[Measurement]:
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= arguments.large]
    found = memory(folder, sizes, __file__)
    for size, peak in found:
        print(f"{size:>9,} entries: {peak:.0f} MiB at most, to log 3,000 entries and prove as many")
    title = f"ledger: peak memory of work on a log of {sizes[-1]:,} entries over one of 10,000"
    return [Measurement(title, found[-1][1] / found[0][1], 1.5, "x", False, COMMAND)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=15_000, help="entries to ingest")
    parser.add_argument("--large", type=int, default=1_000_000, help="entries of the largest log")
    parser.add_argument(
        "--seconds", type=float, default=240, help="to grow it in; where that is short, it stays smaller"
    )
    parser.add_argument("--only", choices=("ingest", "proofs", "memory"), help="one part")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help="print, do not record")
    arguments = parser.parse_args()
    if arguments.child:
        what, ledger, *numbers = arguments.child
        parts: dict[str, Callable[..., None]] = {"ingest": ingest, "submit": submit, "fill": fill, "work": work}
        parts[what](Path(ledger), *map(int, numbers))
        return
    place = DOCS.parent / "runs"  # on the disk that is measured, which a system's own temporary folder need not be
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        found: list[Measurement] = []
        if arguments.only in (None, "ingest"):
            found += measure_ingest(folder, arguments)
        if arguments.only in (None, "proofs"):
            found += measure_proofs(folder)
        if arguments.only in (None, "memory"):
            found += measure_memory(folder, arguments)
    for item in found:
        print(f"{item.name}: {item.value:.4g} {item.unit}")
    if not arguments.dry:
        record(found)


if __name__ == "__main__":
    main()
