"""Durable ingest: what group commit makes of the disk, and memory while the log grows."""

from __future__ import annotations

import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

from ledger_entries import entries, station

from mithridate.ledger.log import Ledger, Receipt
from mithridate.ledger.merkle import leaf_hash
from mithridate.ledger.store.rows import Batch, EntryRow

IN_FLIGHT = 2048
WORKED = 3000
FILL = 20_000
UNKNOWN_DEVICE = 99


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
    import os

    with (folder / "flushed").open("wb") as stream:
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            stream.write(bytes(4096))
            stream.flush()
            os.fdatasync(stream.fileno())
            count += 1
        return count / (time.perf_counter() - started)


def together(ledger: Ledger, prepared: list[bytes]) -> float:
    """Entries a second acknowledged with many in flight."""
    started = time.perf_counter()
    waiting: list[Future[Receipt]] = []
    for entry in prepared:
        waiting.append(ledger.submit_later(entry))
        if len(waiting) == IN_FLIGHT:
            waiting.pop(0).result()
    for future in waiting:
        future.result()
    return len(prepared) / (time.perf_counter() - started)


def alone(ledger: Ledger, prepared: list[bytes]) -> float:
    """Entries a second acknowledged when each waits for the one before."""
    started = time.perf_counter()
    for entry in prepared:
        ledger.submit(entry)
    return len(prepared) / (time.perf_counter() - started)


def ingest(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Medians, over rounds in which all take turns on the same disk: flushes, single, alone, together, a second."""
    found: dict[str, list[float]] = {"flushes": [], "single": [], "alone": [], "together": []}
    device = station()
    share, lone = count // rounds, 100
    prepared = entries(device, 0, rounds * (share + lone))
    with Ledger.create(folder / "ledger", origin="bench.example/log") as ledger:
        ledger.enroll(device.sign(device.enrolment(), 0))
        for number in range(rounds):
            begin = number * (share + lone)
            found["flushes"].append(flushes(folder, 1.0))
            found["single"].append(single_commits(folder, prepared[0], 1.0))
            found["alone"].append(alone(ledger, prepared[begin : begin + lone]))
            found["together"].append(together(ledger, prepared[begin + lone : begin + lone + share]))
    return {name: statistics.median(values) for name, values in found.items()}


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
        for start in range(begin, begin + WORKED, IN_FLIGHT // 2):
            end = min(start + IN_FLIGHT // 2, begin + WORKED)
            for future in [ledger.submit_later(entry) for entry in entries(device, start, end)]:
                future.result()
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


def _child(program: str, what: str, folder: Path, number: int) -> str:
    command = [sys.executable, program, "--child", what, str(folder), str(number)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _stand_in(number: int) -> EntryRow:
    entry = number.to_bytes(8, "big") * 50
    return EntryRow(number, leaf_hash(entry), UNKNOWN_DEVICE, number, number, entry)
