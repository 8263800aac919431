"""Several processes on one ledger."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest

from ledger.samples import ORIGIN, fingerprint
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.log import Ledger, LedgerRefusal

CHILD = """
import sys
from pathlib import Path
from ledger.samples import fingerprint
from mithridate.ledger.log import Ledger
from concurrent.futures import ThreadPoolExecutor
folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with Ledger.open(folder) as ledger, ThreadPoolExecutor(4) as pool:
    ct = ledger.station("CT1")
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = range(first, first + count)
    for receipt in pool.map(lambda n: ledger.capture_fingerprint(fingerprint(n), "x.dcm", station=ct), numbers):
        print(receipt.index, receipt.leaf.hex(), receipt.checkpoint.hex(), flush=True)
"""


def test_two_servers_on_one_database_never_fork(tmp_path: Path, database: str | None) -> None:
    """They sign for the same station; on PostgreSQL they have folders of their own with the same keys."""
    folders = [tmp_path / "ledger"] * 2
    with Ledger.create(folders[0], origin=ORIGIN, database=database) as made:
        made.add_station("CT1")
        begin = made.size
        verifier = made.verifier()
    if database is not None:
        folders[1] = tmp_path / "second"
        shutil.copytree(folders[0], folders[1], ignore=shutil.ignore_patterns("tiles"))
    tests = str(Path(__file__).parents[1])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {tests!r})\n{CHILD}", folder, str(first), "25"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for folder, first in zip(folders, (0, 1000), strict=True)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    outputs = defaultdict(str)

    def finish(number: int) -> None:
        outputs[number] = children[number].communicate("go\n", timeout=600)[0]

    threads = [threading.Thread(target=finish, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    receipts = [line.split() for number in range(2) for line in outputs[number].splitlines()]
    assert sorted(int(index) for index, _, _ in receipts) == list(range(begin, begin + 50))
    for folder in dict.fromkeys(folders):
        with Ledger.open(folder) as opened:
            reader = opened.reader()
            assert all(reader.leaf(int(index)).hex() == leaf for index, leaf, _ in receipts)
            for _, _, note in receipts:
                seen, _ = open_checkpoint(bytes.fromhex(note), [verifier])
                assert merkle.Frontier.load(seen.size, reader.node).root() == seen.root, "two histories were signed"
            assert opened.fsck().is_clean


def test_a_server_reads_what_the_other_one_logged(tmp_path: Path, database: str | None) -> None:
    first_folder = second_folder = tmp_path / "ledger"
    with Ledger.create(first_folder, origin=ORIGIN, database=database) as first:
        if database is not None:
            second_folder = tmp_path / "second"
            shutil.copytree(first_folder, second_folder, ignore=shutil.ignore_patterns("tiles"))
        ct = first.add_station("CT1")
        with Ledger.open(second_folder) as second:
            for number in range(3):
                receipt = first.capture_fingerprint(fingerprint(number), "x.dcm", station=ct)
                assert second.judge_fingerprint(fingerprint(number)).index == receipt.index
                assert second.checkpoint() == first.checkpoint()
            second.revoke("device", ct.device_id, "stolen")
            with pytest.raises(LedgerRefusal, match="was revoked"):
                first.capture_fingerprint(fingerprint(9), "x.dcm", station=ct)
