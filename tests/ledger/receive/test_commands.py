"""`mithridate ledger receive` and `watch` as processes: started, stopped, killed and started again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.receive.pacs import Pacs
from ledger.receive.sending import associated, image, send, split, store, wait_for
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger with one station."""
    with Ledger.create(tmp_path / "log", origin="hospital.example/ledger") as made:
        made.add_station("GATEWAY")
    return tmp_path / "log"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command and waits for its first line."""
    running: list[subprocess.Popen[str]] = []

    def command(*arguments: str | Path) -> tuple[subprocess.Popen[str], str]:
        log = (tmp_path / f"log-{len(running)}.txt").open("w")
        line = [sys.executable, "-m", "mithridate.cli.main", "ledger", *map(str, arguments)]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        running.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, (tmp_path / f"log-{len(running) - 1}.txt").read_text()
        return process, first

    yield command
    for process in running:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def port_in(line: str) -> int:
    found = re.search(r"port ([0-9]+)", line)
    assert found, line
    return int(found[1])


def end(process: subprocess.Popen[str], number: signal.Signals) -> str:
    process.send_signal(number)
    return process.communicate(timeout=120)[0]


def test_receive_runs_until_it_is_told_to_stop(start: Start, folder: Path) -> None:
    process, line = start("receive", folder, "--port", "0", "--ae-title", "LEDGER", "--allow", "CT1")
    assert "as LEDGER, signed by GATEWAY" in line
    data = image()
    assert store(port_in(line), data, calling="CT1").Status == 0
    assert store(port_in(line), image()[:-3000], calling="CT1").Status == 0xC000
    assert end(process, signal.SIGTERM) == "1 logged, 1 refused\n"
    assert process.returncode == 0
    assert len(list((folder / "quarantine").glob("*.txt"))) == 1
    with Ledger.open(folder) as ledger:
        assert ledger.judge(data, "sent").verdict is Verdict.TRANSCODED


def test_killed_again_and_again_it_loses_nothing_that_it_acknowledged(start: Start, folder: Path) -> None:
    pacs = Pacs()
    acknowledged: list[bytes] = []
    options = ("--port", "0", "--ae-title", "LEDGER", "--forward", f"PACS@127.0.0.1:{pacs.port}", "--quiet")

    def send_many(port: int) -> None:
        try:
            with associated(port) as association:
                while association.is_established:
                    data = image()
                    uid = str(split(data)[0].SOPInstanceUID)
                    if send(association, split(data)[1], sop_instance=uid).get("Status") != 0:
                        return  # no answer: the receiver was killed
                    acknowledged.append(data)
        except AssertionError:  # the receiver is gone already
            pass

    for round_ in range(3):
        process, line = start("receive", folder, *options)
        sender = threading.Thread(target=send_many, args=(port_in(line),), daemon=True)
        sender.start()
        wait_for(lambda: len(acknowledged) >= 4 * (round_ + 1))  # noqa: B023 - is called at once
        process.kill()
        process.wait()
        sender.join(20)  # pynetdicom's sender does not always notice; nobody is left to acknowledge anything to it
    process, _ = start("receive", folder, *options)
    wait_for(lambda: not list((folder / "spool" / "pending").iterdir()))
    assert end(process, signal.SIGINT) == "0 logged, 0 refused\n"
    pacs.server.shutdown()
    sent = {split(data)[1] for data in acknowledged}
    arrived = [data_set for _, data_set in pacs.received]
    assert sent <= set(arrived)
    assert len(arrived) - len(set(arrived)) <= 3  # at most the one that was on its way, each time
    assert list((folder / "spool" / "incoming").iterdir()) == []
    with Ledger.open(folder) as ledger:
        assert not ledger.fsck().problems
        assert {ledger.judge(data, "sent").verdict for data in acknowledged} == {Verdict.TRANSCODED}


def test_watch_logs_what_is_there_and_what_comes(start: Start, folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.dcm").write_bytes(image())
    quick = ("--interval", "0.05", "--settle", "0.1", "--move-to", tmp_path / "done")
    process, _ = start("watch", folder, images, *quick)
    wait_for((tmp_path / "done" / "a.dcm").exists)
    (images / "b.dcm").write_bytes(image())
    wait_for((tmp_path / "done" / "b.dcm").exists)
    assert end(process, signal.SIGINT) == "2 logged, 0 refused\n"
    assert process.returncode == 0


def test_stow_can_be_received_as_well(start: Start, folder: Path) -> None:
    import httpx

    process, line = start("receive", folder, "--port", "0", "--stow-port", "0")
    port = re.search(r"http://127\.0\.0\.1:([0-9]+)/studies", line)
    assert port
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + image() + b"\r\n--b--"
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    answer = httpx.post(f"http://127.0.0.1:{port[1]}/studies", content=body, headers={"content-type": kind}, timeout=90)
    assert answer.status_code == 200
    assert end(process, signal.SIGTERM).endswith("1 logged, 0 refused\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("receive", "{log}", "--forward", "PACS"), "'PACS' names no PACS: write TITLE@HOST:PORT"),
        (("receive", "{log}", "--tls-key", "key.pem"), "TLS needs both --tls-certificate and --tls-key"),
        (("receive", "{log}", "--station", "CT9"), "CT9"),
        (("receive", "{log}", "--ae-title", "MUCH_TOO_LONG_A_TITLE"), "an AE title has 1 to 16 characters"),
        (("watch", "{log}", "nowhere"), "nowhere is no folder"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    filled = [argument.format(log=folder) for argument in arguments]
    line = [sys.executable, "-m", "mithridate.cli.main", "ledger", *filled]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
