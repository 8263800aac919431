"""The commands as people type them: a log, its witnesses, a mirror, a time stamp and an investigation, in processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.authority import Authority
from ledger.dicom_files import FOLDER
from ledger.investigate.scene import with_pixels
from mithridate.ledger.log import Ledger

CT = (FOLDER / "CT_small.dcm").read_bytes()


def call(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mithridate.cli.main", "ledger", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=120)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger that holds one image."""
    folder = tmp_path_factory.mktemp("place")
    with Ledger.create(folder / "hospital", origin="hospital.example/ct") as ledger:
        ledger.capture(CT, "ct.dcm", station=ledger.add_station("CT1"))
        (folder / "log.key").write_text(f"{ledger.verifier()}\n")
    (folder / "ct.dcm").write_bytes(CT)
    return folder


@pytest.fixture(scope="module")
def witness(place: Path) -> Iterator[tuple[str, str]]:
    """A witness in a process of its own: its key and its address."""
    done = call("witness", "init", "w1", "--name", "witness.example/w1", folder=place)
    assert done.returncode == 0, done.stderr
    key = re.search(r"verifier key: (\S+)", done.stdout).group(1)  # type: ignore[union-attr]
    refused = call("witness", "serve", "w1", "--port", "0", folder=place)
    assert refused.returncode == 2
    assert "watches no log" in refused.stderr
    log = (place / "log.key").read_text().strip()
    assert call("witness", "watch", "w1", log, folder=place).returncode == 0
    command = [sys.executable, "-m", "mithridate.cli.main", "ledger", "witness", "serve", "w1", "--port", "0"]
    with subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        assert server.stderr is not None
        address = next(found.group(1) for line in server.stderr if (found := re.search(r"on (http://\S+)", line)))
        yield key, address
        server.send_signal(signal.SIGTERM)
        server.communicate()


def test_a_log_is_cosigned_and_its_policy_then_holds(place: Path, witness: tuple[str, str]) -> None:
    key, address = witness
    lines = [f"log {(place / 'log.key').read_text().strip()}", f"witness w1 {key} {address}", "quorum w1", ""]
    (place / "trust.policy").write_text("\n".join(lines))
    done = call("cosign", "hospital", "--policy", "trust.policy", folder=place)
    assert (done.returncode, done.stdout) == (0, "cosigned by w1\n"), done.stderr
    with Ledger.open(place / "hospital") as ledger:
        assert b"\xe2\x80\x94 witness.example/w1 " in ledger.checkpoint()
    shown = call("witness", "show", "w1", folder=place)
    assert key in shown.stdout
    assert "watches hospital.example/ct+" in shown.stdout
    (place / "wide.policy").write_text(
        "\n".join(
            [
                *lines[:2],
                "witness w2 " + _other_key(place) + " http://127.0.0.1:9",
                "group both all w1 w2",
                "quorum both",
                "",
            ]
        )
    )
    few = call("cosign", "hospital", "--policy", "wide.policy", folder=place)
    assert few.returncode == 2
    said = " ".join(few.stderr.split())
    assert "no cosignature of w2" in said
    assert "w2: http://127.0.0.1:9/add-checkpoint does not answer" in said


def _other_key(place: Path) -> str:
    done = call("witness", "init", "w2", "--name", "witness.example/w2", folder=place)
    return done.stdout.split("verifier key: ")[1].split()[0]


def test_a_mirror_follows_and_keeps_what_it_has(place: Path) -> None:
    done = call("mirror", "hospital/tiles", "copy", "--key", "log.key", folder=place)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "hospital.example/ct: 3 entries, 3 of them new")
    again = call("mirror", "hospital/tiles", "copy", "--key", "log.key", folder=place)
    assert "3 entries, 0 of them new" in again.stdout
    other = call("mirror", "copy", "third", "--key", _other_log_key(), folder=place)
    assert other.returncode == 2
    assert "none of the trusted keys" in " ".join(other.stderr.split())
    assert call("mirror", "nowhere", "fourth", "--key", "log.key", folder=place).returncode == 2


def _other_log_key() -> str:
    from ledger.witness.logs import LOG_KEY

    return str(LOG_KEY.verifier())


def test_a_checkpoint_is_stamped(place: Path) -> None:
    pytest.importorskip("rfc3161_client", reason="rfc3161-client is not installed (the extra timestamps)")
    authority = Authority(place / "authority")
    none = call("timestamp", "hospital", "--root", "authority/root.pem", folder=place)
    assert none.returncode == 2
    assert "no time stamp" in " ".join(none.stderr.split())
    with authority.serve() as url:
        done = call("timestamp", "hospital", "--authority", url, "--root", "authority/root.pem", folder=place)
    assert done.returncode == 0, done.stderr
    assert "by CN=Test time stamps" in done.stdout
    assert call("timestamp", "hospital", "--root", "authority/root.pem", folder=place).stdout == done.stdout


def test_an_investigation_ends_in_a_report_whose_proofs_hold(place: Path) -> None:
    (place / "found").mkdir()
    (place / "found" / "ct.dcm").write_bytes(with_pixels("CT_small.dcm", lambda pixels: pixels.__iadd__(1)))
    arguments = ["hospital", "found", "--originals", "ct.dcm", "--patient", "1CT1", "--out", "case"]
    done = call("investigate", *arguments, folder=place)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("1 of 1 image was altered after capture.")
    found = json.loads((place / "case" / "findings.json").read_text())
    assert found["images"][0]["verdict"] == "MISMATCH"
    proof = f"case/proofs/record-{found['images'][0]['route']['index']}.proof"
    checked = call("check-proof", proof, "found/ct.dcm", "--key", "case/log.key", folder=place)
    assert checked.returncode == 1
    assert checked.stdout.startswith("MISMATCH")
    sound = call("investigate", "hospital", "ct.dcm", "--out", "sound", folder=place)
    assert (sound.returncode, sound.stdout.splitlines()[0]) == (0, "The image is as captured.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("investigate", "hospital"), "nothing to investigate"),
        (("investigate", "hospital", "--from", "yesterday"), "is no time"),
        (("investigate", "hospital", "--made", "CT1"), "NAME=COUNT"),
        (("cosign", "hospital", "--policy", "absent"), "absent cannot be read"),
        (("witness", "show", "nowhere"), "sets up a witness"),
    ],
)
def test_mistakes_are_one_sentence(place: Path, arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments, folder=place)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
