"""Durable ingest: what group commit makes of the disk, and memory while the log grows."""

from __future__ import annotations

import json
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

IN_FLIGHT = 2048
CHUNK = 2000


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


def grow(folder: Path, sizes: list[int]) -> None:
    """Run in a child: grow one log through these sizes; at each, print the memory that the process itself holds."""
    device = station()
    done = 0
    with Ledger.create(folder / "ledger", origin="bench.example/log") as ledger:
        ledger.enroll(device.sign(device.enrolment(), 0))
        for size in sizes:
            while done < size:
                step = min(CHUNK, size - done)
                for future in [ledger.submit_later(entry) for entry in entries(device, done, done + step)]:
                    future.result()
                done += step
            ledger.prove(size // 2)
            print(json.dumps([size, anonymous_memory(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
            sys.stdout.flush()


def anonymous_memory() -> float:
    """MiB that this process holds now, without files that are mapped."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(sizes: list[int], program: str, seconds: float) -> list[tuple[int, float, float]]:
    """For each size that a child reaches in time: entries, memory held, and peak memory, in MiB."""
    command = [sys.executable, program, "--grow", ",".join(map(str, sizes))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        found, end = [], time.monotonic() + seconds
        for line in child.stdout:
            found.append(tuple(json.loads(line)))
            rate = found[-1][0] / max(1.0, time.monotonic() - end + seconds)
            following = next((size for size in sizes if size > found[-1][0]), None)
            if following is not None and time.monotonic() + (following - found[-1][0]) / rate > end:
                child.kill()
                print(f"{following:,} entries would take too long here: the log was grown to {found[-1][0]:,}")
                break
    return found
