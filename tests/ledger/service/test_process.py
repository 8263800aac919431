"""The commands as processes: started, asked, told to stop, and nothing lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from typer import Typer
from typer.testing import CliRunner

from ledger.gate.ledgers import CT, CT_INDEX, CT_PATIENT, STATION, edited
from mithridate.cli.ledger_serve import register
from mithridate.errors import UserError
from mithridate.ledger.log import Ledger
from mithridate.ledger.service.credentials import FILE_NAME, Credentials
from mithridate.ledger.service.roles import Role

_PROGRAM = """
import typer
from mithridate.cli.ledger_serve import register
app = typer.Typer()
register(app)
app()
"""


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that serves, and the address that it prints."""
    child = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        line = child.stdout.readline()
        found = re.search(r"https?://\S+", line)
        assert found, line + child.stderr.read()
        yield child, found[0]
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(template, tmp_path / "ledger"))


def test_a_service_serves_and_ends_in_order_with_requests_under_way(folder: Path) -> None:
    _, key = Credentials(folder / FILE_NAME).create_key("scanner", Role.DEVICE)
    headers = {"authorization": f"Bearer {key}"}
    images = [edited(SOPInstanceUID=f"1.2.3.{number}") for number in range(12)]
    acknowledged: dict[int, int] = {}
    with process("serve", str(folder), "--port", "0") as (child, address):

        def submit(number: int) -> None:
            try:
                answer = httpx.post(
                    f"{address}/v1/images",
                    params={"station": STATION},
                    content=images[number],
                    headers=headers,
                    timeout=60,
                    trust_env=False,
                )
            except httpx.TransportError:
                return  # it came too late
            if answer.status_code == 201:
                acknowledged[number] = answer.json()["index"]

        submit(0)
        threads = [threading.Thread(target=submit, args=(number,)) for number in range(1, len(images))]
        for thread in threads:
            thread.start()
        child.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert child.wait(60) == 0
    with Ledger.open(folder) as ledger:
        assert acknowledged[0] == CT_INDEX + 1
        for number, index in acknowledged.items():
            assert ledger.judge(images[number], "image").is_accepted
            assert index < ledger.size
        assert ledger.fsck().is_clean


def test_a_killed_service_has_lost_nothing_that_it_acknowledged(folder: Path) -> None:
    _, key = Credentials(folder / FILE_NAME).create_key("scanner", Role.DEVICE)
    data = edited(SOPInstanceUID="1.2.3.4")
    with process("serve", str(folder), "--port", "0") as (child, address):
        answer = httpx.post(
            f"{address}/v1/images",
            params={"station": STATION},
            content=data,
            headers={"authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 201
        child.kill()
    with Ledger.open(folder) as ledger:
        assert ledger.judge(data, "image").index == answer.json()["index"]


def test_a_gate_stands_before_a_model_and_ends_on_ctrl_c(folder: Path, tmp_path: Path) -> None:
    with Ledger.open(folder) as ledger:
        key = str(ledger.verifier())
    settings = tmp_path / "gate.yaml"
    settings.write_text(
        json.dumps({"model": "http://127.0.0.1:9/", "ledger": "ledger", "state": "state", "policy": {"log_key": key}})
    )
    with process("gate", str(settings), "--port", "0") as (child, address):
        answer = httpx.post(address, files={"image": CT}, data={"patient": CT_PATIENT}, trust_env=False, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (502, "model")  # admitted, and nobody is there
        refused = httpx.post(address, files={"image": CT}, data={"patient": "other"}, trust_env=False, timeout=60)
        assert refused.json()["code"] == "unexpected-identity"
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 0
    codes = [json.loads(line)["code"] for line in (tmp_path / "state" / "journal.jsonl").read_text().splitlines()]
    assert codes == ["admitted", "unexpected-identity"]


@pytest.fixture
def cli() -> Typer:
    app = Typer()
    register(app)
    return app


def test_keys_are_made_shown_once_listed_and_removed(cli: Typer, folder: Path) -> None:
    runner = CliRunner()
    made = runner.invoke(cli, ["api-key", "create", str(folder), "scanner", "--role", "device", "--days", "30"])
    key = made.stdout.strip().splitlines()[-1]
    found = Credentials(folder / FILE_NAME).recognize_key(key)
    assert found is not None
    assert (found.name, found.role) == ("scanner", Role.DEVICE)
    listed = runner.invoke(cli, ["api-key", "list", str(folder)]).stdout
    assert "scanner" in listed
    assert key not in listed
    identifier = key.split("_")[1]
    assert runner.invoke(cli, ["api-key", "remove", str(folder), identifier]).exit_code == 0
    assert Credentials(folder / FILE_NAME).recognize_key(key) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["api-key", "create", "{folder}", "x", "--role", "king"], "device, verifier"),
        (["api-key", "create", "{folder}", "x", "--role", "device", "--device", "zz"], "device ID"),
        (["api-key", "create", "{folder}/absent", "x", "--role", "device"], "no folder"),
        (
            ["api-key", "create", "{folder}", "x", "--role", "device", "--certificate", "{folder}/absent"],
            "cannot be read",
        ),
        (["api-key", "remove", "{folder}", "123"], "no credential"),
        (["serve", "{folder}", "--host", "0.0.0.0"], "in the open"),
        (["serve", "{folder}", "--host", "203.0.113.7", "--config", "{folder}/absent.yaml"], "absent.yaml"),
        (["gate", "{folder}/absent.yaml"], "absent.yaml"),
    ],
)
def test_mistakes_are_sentences(arguments: list[str], message: str, cli: Typer, folder: Path) -> None:
    result = CliRunner().invoke(cli, [argument.replace("{folder}", str(folder)) for argument in arguments])
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)


def test_an_address_that_is_taken_is_a_sentence(cli: Typer, folder: Path) -> None:
    with process("serve", str(folder), "--port", "0") as (_, address):
        port = address.rpartition(":")[2]
        result = CliRunner().invoke(cli, ["serve", str(folder), "--port", port])
        assert isinstance(result.exception, UserError)
        assert port in str(result.exception)
