"""`make bench-imaging`: speed of phantoms, of the catalog of ChestX-ray14, and of the demonstration."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from record import Measurement, record

from mithridate.imaging.phantoms import chest, fundus, skin
from mithridate.seeds import generator

COMMAND = "make bench-imaging"
RENDER = {"fundus": fundus.render, "chest": chest.render, "skin": skin.render}


def draw(job: tuple[str, int, int]) -> float:
    """Seconds to render so many phantoms of 128 px, the first (which fills caches) left out."""
    task, first, count = job
    for number in range(first - 1, first + count):
        if number == first:
            started = time.perf_counter()
        RENDER[task](128, (number % 100) / 100, generator(number, "patient"), generator(number, "image"))
    return time.perf_counter() - started


def phantoms() -> list[Measurement]:
    found = []
    for task in RENDER:
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(draw, [(task, 1, 4), (task, 9, 4)]))  # start the workers
            seconds = max(pool.map(draw, [(task, 100, 150), (task, 300, 150)]))
        found.append(
            Measurement(f"phantoms, {task}, 128 px, 2 processes", 300 / seconds, 100, "images/s", True, COMMAND)
        )
    return found


def timed(*arguments: str) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "mithridate.cli.main", *arguments], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - started, done.stdout


def catalog(table: Path) -> list[Measurement]:
    from mithridate.imaging.sources import Request, build_catalog

    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        build_catalog("chestxray14", Request(metadata=(table,)))
        seconds.append(time.perf_counter() - started)
    _, printed = timed("data", "catalog", "chestxray14", "--metadata", str(table), "--json")
    print(json.dumps(json.loads(printed), indent=2))
    return [Measurement("catalog of ChestX-ray14, 112,120 rows", float(np.median(seconds)), 2, "s", False, COMMAND)]


def demo() -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        quick, _ = timed("demo", "--quick", "--out", f"{folder}/quick")
        whole, _ = timed("demo", "--out", f"{folder}/whole")
    return [
        Measurement("mithridate demo --quick", quick, 45, "s", False, COMMAND),
        Measurement("mithridate demo", whole, 180, "s", False, COMMAND),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nih-table", type=Path, help="Data_Entry_2017_v2020.csv.gz of ChestX-ray14")
    arguments = parser.parse_args()
    found = phantoms() + demo()
    if arguments.nih_table and arguments.nih_table.is_file():
        found += catalog(arguments.nih_table)
    record(found)


if __name__ == "__main__":
    main()
