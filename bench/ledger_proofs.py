"""Inclusion proofs: how fast, against pymerkle (GPL, so a peer and never a dependency), and how that grows."""

from __future__ import annotations

import json
import math
import random
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from mithridate.ledger.proof_reader import ProofReader, TreeCache
from mithridate.ledger.tile_reader import folder_source
from mithridate.ledger.tile_writer import TileWriter
from mithridate.ledger.tiles import TILE_WIDTH

PEER = """
import json, random, sys, time
from pymerkle import InmemoryTree, SqliteTree
size, proofs = int(sys.argv[1]), int(sys.argv[2])
found = {}
for name, tree in (("memory", InmemoryTree(algorithm="sha256")), ("sqlite", SqliteTree(sys.argv[3]))):
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
CHUNK = 16384


def grown(folder: Path, sizes: Sequence[int], rounds: int = 7) -> list[tuple[int, float, int]]:
    """A log read at these sizes of it: for each, the size, microseconds a proof, and the hashes of a proof.

    Every tile is in memory, as a ledger keeps those of its last 262,144 entries: what is timed is the proof.
    The sizes take turns, and each counts by its best round: what else the machine does slows all of them alike.
    """
    writer = TileWriter(folder)
    while writer.size < sizes[-1]:
        writer.append([b"%d" % n for n in range(writer.size, min(writer.size + CHUNK, sizes[-1]))])
    trees = TreeCache(2 * sizes[-1] // TILE_WIDTH)
    readers = [ProofReader(folder_source(folder), size, trees) for size in sizes]
    for tile in range(0, sizes[-1], TILE_WIDTH):  # every tile is read once
        readers[-1].inclusion_proof(tile)
    best = [0.0] * len(sizes)
    for turn in range(rounds):
        for number, reader in enumerate(readers):
            best[number] = max(best[number], proofs_a_second(reader, 10_000, seed=turn))
    lengths = [len(reader.inclusion_proof(0)) for reader in readers]
    return [(size, 1e6 / rate, length) for size, rate, length in zip(sizes, best, lengths, strict=True)]


def proofs_a_second(reader: ProofReader, count: int, seed: int = 1) -> float:
    """Inclusion proofs of entries drawn at random."""
    draw = random.Random(seed)
    places = [draw.randrange(reader.size) for _ in range(count)]
    started = time.perf_counter()
    for place in places:
        reader.inclusion_proof(place)
    return count / (time.perf_counter() - started)


def pymerkle(python: Path, size: int, count: int, folder: Path) -> dict[str, float]:
    """pymerkle's proofs a second from its store in memory and from its SQLite store."""
    command = [str(python), "-c", PEER, str(size), str(count), str(folder / "peer.db")]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def fit(points: Sequence[tuple[int, float, int]]) -> tuple[float, float, float]:
    """Microseconds = a + b log2(size) by least squares, and the share of variance that this explains."""
    x = [math.log2(size) for size, _, _ in points]
    y = [value for _, value, _ in points]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)
    start = mean_y - slope * mean_x
    left = sum((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    total = sum((b - mean_y) ** 2 for b in y) or 1.0
    return start, slope, 1 - left / total


def plot(points: Sequence[tuple[int, float, int]]) -> str:
    """The measured times over the size, on a logarithmic axis, with the fitted line, as an SVG."""
    width, height, left, bottom, top, right = 640, 360, 64, 52, 20, 44
    start, slope, _ = fit(points)
    lowest, highest = math.log2(points[0][0]), math.log2(points[-1][0])
    most = 1.15 * max(value for _, value, _ in points)

    def x(power: float) -> float:
        return left + (power - lowest) / (highest - lowest) * (width - left - right)

    def y(value: float) -> float:
        return height - bottom - value / most * (height - bottom - top)

    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if most / step <= 8)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13" fill="#222" role="img"><title>Time of an inclusion proof over the size of the log</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    for number in range(int(most / step) + 1):
        at = y(number * step)
        parts.append(f'<line x1="{left}" x2="{width - right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    for size, _, _ in points[::2]:
        parts.append(
            f'<text x="{x(math.log2(size)):.1f}" y="{height - bottom + 20}" text-anchor="middle">{size:,}</text>'
        )
    ends = [(power, start + slope * power) for power in (lowest, highest)]
    line = " ".join(f"{x(power):.1f},{y(value):.1f}" for power, value in ends)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#0b5563" stroke-width="1.5" stroke-dasharray="5 4"/>')
    parts += [f'<circle cx="{x(math.log2(size)):.1f}" cy="{y(value):.1f}" r="4" fill="#0b5563"/>'
              for size, value, _ in points]  # fmt: skip
    parts.append(f'<text x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">entries</text>')
    parts.append(
        f'<text transform="translate(16 {(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">'
        "microseconds a proof</text></svg>"
    )
    return "\n".join(parts) + "\n"
