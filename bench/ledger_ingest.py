"""Durable ingest: what group commit makes of the disk, and memory while the log grows."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ledger_entries import entries, station

from mithridate.ledger.log import Ledger, Receipt
from mithridate.ledger.merkle import leaf_hash
from mithridate.ledger.store.rows import Batch, EntryRow

ROUNDS = 3
LONE = 100
PROCESSES = 2
WORKED = 3000
FILL = 20_000
UNKNOWN_DEVICE = 99

FLUSH_MILLISECONDS = 4
"""How much longer a flush takes on the slowed disk; with that it is about as slow as a server's shared disk."""


def single_commits(folder: Path, entry: bytes, seconds: float) -> float:
    """Rows a second when each is its own transaction, on the disk and with the settings that the ledger uses."""
    file = folder / "single.db"
    file.unlink(missing_ok=True)
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE entries (position INTEGER PRIMARY KEY, entry BLOB)")
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            connection.execute("INSERT INTO entries VALUES (?, ?)", (count, entry))
            count += 1
        return count / (time.perf_counter() - started)


def flushes(folder: Path, seconds: float) -> float:
    """Writes of 4 KiB flushed to the disk (fdatasync) a second, which is what any commit waits for."""
    with (folder / "flushed").open("wb") as stream:
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            stream.write(bytes(4096))
            stream.flush()
            os.fdatasync(stream.fileno())
            count += 1
        return count / (time.perf_counter() - started)


def together(ledger: Ledger, prepared: list[bytes]) -> float:
    """Entries a second acknowledged of many that are submitted at once."""
    started = time.perf_counter()
    count = sum(isinstance(answer, Receipt) for answer in ledger.submit_all(prepared))
    if count != len(prepared):
        raise RuntimeError(f"{len(prepared) - count} of {len(prepared)} entries were refused")
    return count / (time.perf_counter() - started)


def alone(ledger: Ledger, prepared: list[bytes]) -> float:
    """Entries a second acknowledged when each waits for the one before."""
    started = time.perf_counter()
    for entry in prepared:
        ledger.submit(entry)
    return len(prepared) / (time.perf_counter() - started)


def measure(folder: Path, count: int, program: str, *, slowed: bool = False) -> dict[str, float] | None:
    """`ingest` in a process of its own; `slowed`, on a disk on which every flush takes FLUSH_MILLISECONDS longer.

    strace holds a thread up after its flush.  Its filter in the kernel lets all other system calls pass untraced, so
    that nothing else becomes slower.  None, said in a line, where strace cannot do that.
    """
    tracer: list[str] = []
    if slowed:
        calls = "fsync,fdatasync"
        tracer = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", os.devnull, "-e", f"trace={calls}"]
        tracer += ["-e", f"inject={calls}:delay_exit={1000 * FLUSH_MILLISECONDS}"]
        if shutil.which("strace") is None or subprocess.run([*tracer, "true"], capture_output=True).returncode:
            print("strace is absent or may not trace: the slowed disk is left out")
            return None
    found: dict[str, float] = json.loads(_child(program, "ingest", folder, count, tracer))
    return found


def ingest(folder: Path, count: int) -> None:
    """Run in a child: print medians over rounds in which all take turns on the same disk.

    Per second: flushes, single (bare commits), alone (entries, each waiting for the one before), together (entries,
    many of one process in flight), processes (the same of PROCESSES processes at once).  In milliseconds of the
    processor: alone_ms, together_ms and processes_ms for one entry, its tiles included.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    share = count // ROUNDS
    devices = [station(seed) for seed in range(1, PROCESSES + 2)]
    prepared = iter(entries(devices[0], 0, ROUNDS * (share + LONE)))
    folder.mkdir()
    with Ledger.create(folder / "ledger", origin="bench.example/log") as ledger:
        for device in devices:
            ledger.enroll(device.sign(device.enrolment(), 0))
        others = [_Submitter(folder / "ledger", 2 + number, share) for number in range(PROCESSES)]
        for _ in range(ROUNDS):
            found["flushes"].append(flushes(folder, 1.0))
            found["single"].append(single_commits(folder, bytes(3600), 1.0))
            for name, submit, size in (("alone", alone, LONE), ("together", together, share)):
                own = [next(prepared) for _ in range(size)]
                used = time.process_time()
                found[name].append(submit(ledger, own))
                ledger._appender.wait()
                found[f"{name}_ms"].append(1e3 * (time.process_time() - used) / size)
            rate, milliseconds = _at_once(others)
            found["processes"].append(rate)
            found["processes_ms"].append(milliseconds)
        for other in others:
            other.end()
    print(json.dumps({name: statistics.median(values) for name, values in found.items()}))


class _Submitter:
    """A process with the same ledger open, which submits entries of a device of its own when told to."""

    def __init__(self, ledger: Path, seed: int, share: int) -> None:
        command = [sys.executable, sys.argv[0], "--child", "submit", str(ledger), str(seed), str(share)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.share = share
        self.hear()

    def tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def hear(self) -> float:
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate("")


def _at_once(submitters: Sequence[_Submitter]) -> tuple[float, float]:
    """Entries a second acknowledged to all of them, and milliseconds of the processor for one."""
    count = sum(submitter.share for submitter in submitters)
    started = time.perf_counter()
    for submitter in submitters:
        submitter.tell()
    for submitter in submitters:
        submitter.hear()
    rate = count / (time.perf_counter() - started)
    return rate, 1e3 * sum(submitter.hear() for submitter in submitters) / count


def submit(folder: Path, seed: int, share: int) -> None:
    """Run in a child: for each line that comes in, submit entries, say so, and what they took of the processor."""
    device = station(seed)
    prepared = iter(entries(device, 0, ROUNDS * share))
    with Ledger.open(folder) as ledger:
        print(0, flush=True)
        for _ in sys.stdin:
            own = [next(prepared) for _ in range(share)]
            used = time.process_time()
            together(ledger, own)
            print(0, flush=True)
            ledger._appender.wait()
            print(time.process_time() - used, flush=True)


def fill(folder: Path, size: int) -> None:
    """Run in a child: bring a log up to a size with stand-ins of 400 bytes, which nobody signed, as fast as it goes."""
    with Ledger.open(folder) as ledger:
        while (have := ledger._store.head().size) < size:
            with ledger._store.writing() as connection:
                old = ledger._store.lock_head(connection)
                rows = [_stand_in(number) for number in range(have, min(have + FILL, size))]
                new = ledger._appender._extend(old, rows)
                ledger._store.append(connection, old, new, Batch(rows))
            ledger._publisher.publish(new, old.size, rows)


def work(folder: Path, begin: int) -> None:
    """Run in a child: log entries, judge images and make proofs all over the log; print the peak memory in MiB."""
    device = station()
    with Ledger.open(folder) as ledger:
        together(ledger, entries(device, begin, begin + WORKED))
        size, draw = ledger.size, random.Random(1)
        reader = ledger.reader()
        for _ in range(WORKED):
            reader.inclusion_proof(draw.randrange(size))
        for entry in entries(device, begin, begin + 50):
            ledger.prove(ledger.position(leaf_hash(entry)) or 0)
        print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory(folder: Path, sizes: list[int], program: str) -> list[tuple[int, float]]:
    """For each size: the entries, and the peak memory in MiB of a process that opens the log and works with it."""
    ledger, device, found = folder / "grown", station(), []
    with Ledger.create(ledger, origin="bench.example/log") as made:
        made.enroll(device.sign(device.enrolment(), 0))
    for number, size in enumerate(sizes):
        _child(program, "fill", ledger, size)
        said = _child(program, "work", ledger, number * WORKED).split()
        found.append((int(said[0]), float(said[1])))
    return found


def _child(program: str, what: str, folder: Path, number: int, tracer: Sequence[str] = ()) -> str:
    command = [*tracer, sys.executable, program, "--child", what, str(folder), str(number)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _stand_in(number: int) -> EntryRow:
    entry = number.to_bytes(8, "big") * 50
    return EntryRow(number, leaf_hash(entry), UNKNOWN_DEVICE, number, number, entry)
