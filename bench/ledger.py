"""`make bench-ledger`: durable ingest, inclusion proofs, and how memory and proof time grow.

pymerkle (GPL) is a peer in an environment of its own, never a dependency:  --pymerkle PATH/TO/ITS/python
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from record import Measurement, record

from mithridate.ledger import merkle
from mithridate.ledger.fingerprint.dicom_schema import ATTRIBUTES, CODING, IDENTITY, SCHEMA
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger, Receipt
from mithridate.ledger.proof_reader import ProofReader
from mithridate.ledger.record import Capture
from mithridate.ledger.sealed import SealedFingerprint
from mithridate.ledger.station import Station
from mithridate.ledger.tile_reader import folder_source
from mithridate.ledger.tile_writer import TileWriter

COMMAND = "make bench-ledger"
IN_FLIGHT = 2048
PEER = """
import json, random, sys, tempfile, time
from pymerkle import InmemoryTree, SqliteTree
size, proofs = int(sys.argv[1]), int(sys.argv[2])
found = {}
for name, make in (("memory", lambda: InmemoryTree(algorithm="sha256")), ("sqlite", lambda: SqliteTree(sys.argv[3]))):
    tree = make()
    if name == "sqlite":
        tree.append_entries([b"%d" % n for n in range(size)], chunksize=1000)
    else:
        for n in range(size):
            tree.append_entry(b"%d" % n)
    draw = random.Random(1)
    started = time.perf_counter()
    for _ in range(proofs):
        tree.prove_inclusion(draw.randint(1, size))
    found[name] = proofs / (time.perf_counter() - started)
print(json.dumps(found))
"""


def single_commits(folder: Path, entry: bytes, seconds: float = 3.0) -> float:
    """Rows a second when each is its own transaction, on the disk and with the settings that the ledger uses."""
    with sqlite3.connect(folder / "single.db", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE entries (position INTEGER PRIMARY KEY, entry BLOB)")
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            connection.execute("INSERT INTO entries VALUES (?, ?)", (count, entry))
            count += 1
        return count / (time.perf_counter() - started)


def station() -> Station:
    signer = FileSigner.from_seed(bytes(range(32)))
    return Station(DeviceIdentity("CT1", "Maker", "Model", "1", "1", signer.public_key), signer)


def entries(device: Station, begin: int, end: int) -> list[bytes]:
    """Signed records of images with as many commitments as a CT slice has."""
    commitment = merkle.leaf_hash(b"some attribute")
    groups = [tuple(commitment if n % 4 == 0 else None for n in range(len(g))) for g in (CODING, ATTRIBUTES, IDENTITY)]
    return [
        device.sign(
            Capture(SealedFingerprint("dicom", SCHEMA, 1, *(merkle.leaf_hash(b"%s %d" % (what, n)) for what in
                                                           (b"f", b"s", b"p")), *groups)), 1 + n
        )
        for n in range(begin, end)
    ]  # fmt: skip


def ingest(folder: Path, count: int) -> tuple[float, float]:
    """Entries a second acknowledged: many in flight, and one after another."""
    device = station()
    with Ledger.create(folder / "ledger", origin="bench.example/log") as ledger:
        ledger.enroll(device.sign(device.enrolment(), 0))
        prepared = entries(device, 0, count)
        started = time.perf_counter()
        waiting: list[Future[Receipt]] = []
        for entry in prepared:
            waiting.append(ledger.submit_later(entry))
            if len(waiting) == IN_FLIGHT:
                waiting.pop(0).result()
        for future in waiting:
            future.result()
        together = count / (time.perf_counter() - started)
        alone = entries(device, count, count + 50)
        started = time.perf_counter()
        for entry in alone:
            ledger.submit(entry)
        return together, len(alone) / (time.perf_counter() - started)


def tree(folder: Path, size: int) -> ProofReader:
    writer = TileWriter(folder)
    for begin in range(0, size, 16384):
        writer.append([b"%d" % n for n in range(begin, min(begin + 16384, size))])
    return ProofReader(folder_source(folder), size)


def proofs_a_second(reader: ProofReader, count: int, first: int = 0) -> float:
    draw = random.Random(1)
    places = [draw.randrange(first, reader.size) for _ in range(count)]
    started = time.perf_counter()
    for place in places:
        reader.inclusion_proof(place)
    return count / (time.perf_counter() - started)


def peak_memory(work: Callable[[], object]) -> None:
    """Run in a child: do the work, print the peak resident memory in MiB."""
    work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory_of(count: int) -> float:
    """Peak memory of a process that ingests so many entries, in MiB."""
    done = subprocess.run(
        [sys.executable, __file__, "--child-ingest", str(count)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])


def stream_in(folder: Path, count: int) -> None:
    device = station()
    with Ledger.create(folder / "ledger", origin="bench.example/log") as ledger:
        ledger.enroll(device.sign(device.enrolment(), 0))
        for begin in range(0, count, 1000):
            futures = [ledger.submit_later(entry) for entry in entries(device, begin, begin + 1000)]
            futures[-1].result()


def peers(python: Path | None, size: int, count: int, folder: Path) -> dict[str, float]:
    if python is None:
        print("pymerkle is left out: name the python of an environment that has it with --pymerkle")
        return {}
    command = [str(python), "-c", PEER, str(size), str(count), str(folder / "peer.db")]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def measure(arguments: argparse.Namespace, folder: Path) -> list[Measurement]:
    single = single_commits(folder, entries(station(), 0, 1)[0])
    together, alone = ingest(folder, arguments.entries)
    rows = [
        ("ledger: single-row commits of the same disk", single, None, "/s", True),
        ("ledger: durable ingest with group commit", together, None, "entries/s", True),
        ("ledger: ingest against single-row commits", together / single, 40, "x", True),
        ("ledger: ingest against one submission at a time", together / alone, None, "x", True),
    ]
    rates = {}
    for size in (2**10, 2**13, 2**16, 2**17):
        reader = tree(folder / f"tree{size}", size)
        proofs_a_second(reader, 2000)  # warm
        rates[size] = proofs_a_second(reader, 20_000)
        rows.append((f"ledger: inclusion proof among {size:,} entries", 1e6 / rates[size], None, "us", False))
    growth = (1 / rates[2**17] - 1 / rates[2**10]) / (1 / rates[2**10])
    rows.append(("ledger: growth of proof time from 2^10 to 2^17 entries", 100 * growth, 70, "%", False))
    found = peers(arguments.pymerkle, 2**16, 3000, folder)
    for name, target in (("memory", 1), ("sqlite", 5)):
        if name in found:
            rows.append((f"ledger: proofs against pymerkle, {name}", rates[2**16] / found[name], target, "x", True))
    small, large = memory_of(10_000), memory_of(arguments.large)
    rows.append(
        (f"ledger: peak memory at {arguments.large:,} entries over that at 10,000", large / small, 1.1, "x", False)
    )
    return [Measurement(*row, COMMAND) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pymerkle", type=Path, help="python of an environment that has pymerkle")
    parser.add_argument("--entries", type=int, default=20_000, help="entries to ingest")
    parser.add_argument("--large", type=int, default=100_000, help="entries of the larger log; 1000000 takes long")
    parser.add_argument("--child-ingest", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help="print, do not record")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        if arguments.child_ingest:
            peak_memory(lambda: stream_in(Path(name), arguments.child_ingest))
            return
        found = measure(arguments, Path(name))
    for item in found:
        print(f"{item.name}: {item.value:.4g} {item.unit}")
    if not arguments.dry:
        record(found)


if __name__ == "__main__":
    main()
