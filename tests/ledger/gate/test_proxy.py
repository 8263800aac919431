"""The gate as a proxy and over HTTP: real servers for model, gate and ledger."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, Request, Response

from ledger.dicom_files import read
from ledger.gate.ledgers import CT, CT_INDEX, CT_PATIENT, CT_UID, altered, capture, copied, edited
from ledger.service.conftest import Service
from ledger.service.running import served
from mithridate.errors import UserError
from mithridate.ledger.gate import Expected, Gate, GateRefusal, Policy, RefusalCode
from mithridate.ledger.gate.proxy_settings import ProxySettings, load_proxy_settings
from mithridate.ledger.gate.remote import RemoteLedger
from mithridate.ledger.gate.running import opened_proxy
from mithridate.ledger.log import Ledger
from mithridate.ledger.receipt import LedgerFailure
from mithridate.ledger.service.listening import Listening
from mithridate.ledger.service.roles import Role

DESCRIPTION = "EventOutcomeDescription"
EXPECTED = {"patient": CT_PATIENT, "sop_instance_uid": CT_UID}


class Model:
    """A model that answers with what it was sent, and keeps it."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.requests: list[tuple[dict[str, str], bytes]] = []

        @self.app.post("/model")
        async def predict(request: Request) -> Response:
            body = await request.body()
            self.requests.append((dict(request.headers), body))
            return Response(b'{"score": 0.7}', media_type="application/json", headers={"mithridate-verdict": "forged"})

        @self.app.post("/moved")
        async def moved(request: Request) -> Response:
            return Response(status_code=307, headers={"location": "/model"})


@pytest.fixture(scope="module")
def model() -> Iterator[tuple[Model, str]]:
    made = Model()
    with served(made.app, Listening(port=0)) as address:
        yield made, f"{address}/model"


class Proxy:
    def __init__(self, settings: ProxySettings, stack: ExitStack) -> None:
        app = stack.enter_context(opened_proxy(settings))
        address = stack.enter_context(served(app, settings))
        self.client = stack.enter_context(httpx.Client(base_url=address, timeout=60, trust_env=False))

    def ask(self, data: bytes, bundle: bytes | None = None, **fields: str) -> httpx.Response:
        files = {"image": ("../../etc/passwd", data)} | ({"bundle": ("b", bundle)} if bundle is not None else {})
        return self.client.post("/predict", files=files, data=fields)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that nobody has open."""
    place = tmp_path_factory.mktemp("proxy") / "ledger"
    with copied(template, place):
        return place


def key_of(folder: Path) -> str:
    with Ledger.open(folder) as ledger:
        return str(ledger.verifier())


@pytest.fixture(scope="module")
def proxy(model: tuple[Model, str], folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    state = tmp_path_factory.mktemp("state")
    policy = Policy(log_key=key_of(folder))
    with ExitStack() as opened:
        yield Proxy(ProxySettings(port=0, model=model[1], ledger=str(folder), policy=policy, state=state), opened)


def problem(answer: httpx.Response, status: int, code: RefusalCode | str) -> dict[str, object]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    body: dict[str, object] = answer.json()
    assert body["code"] == str(code)
    return body


def test_the_model_gets_the_verified_array_and_nothing_else(model: tuple[Model, str], proxy: Proxy) -> None:
    answer = proxy.ask(CT, **EXPECTED)
    assert (answer.status_code, answer.json()) == (200, {"score": 0.7})
    assert answer.headers["mithridate-verdict"] == "IDENTICAL"  # the gate's, not the model's
    assert answer.headers["mithridate-index"] == str(CT_INDEX)
    assert answer.headers["mithridate-preprocessing"] == "stored/1"
    headers, body = model[0].requests[-1]
    np.testing.assert_array_equal(np.load(io.BytesIO(body), allow_pickle=False), read("CT_small.dcm").pixel_array)
    assert headers["mithridate-tensor"] == answer.headers["mithridate-tensor"]
    assert CT_PATIENT not in str(headers)
    assert "passwd" not in str(headers)


@pytest.mark.parametrize(
    ("data", "fields", "status", "code"),
    [
        (altered(), EXPECTED, 403, RefusalCode.MISMATCH),
        (edited(RescaleSlope=9), EXPECTED, 403, RefusalCode.METADATA_EDITED),
        (CT, {"patient": "another"}, 403, RefusalCode.UNEXPECTED_IDENTITY),
        (CT, {}, 422, RefusalCode.IDENTITY_MISSING),
        (b"nothing", EXPECTED, 422, RefusalCode.UNREADABLE),
        (CT, EXPECTED | {"nonce": "made up"}, 409, RefusalCode.NONCE),
    ],
    ids=["altered", "edited", "substituted", "unbound", "no image", "nonce"],
)
def test_nothing_else_reaches_the_model(
    data: bytes, fields: dict[str, str], status: int, code: RefusalCode, model: tuple[Model, str], proxy: Proxy
) -> None:
    before = len(model[0].requests)
    body = problem(proxy.ask(data, **fields), status, code)
    assert body["title"] == "Not admitted"
    assert body["detail"]
    assert len(model[0].requests) == before


def test_a_recorded_request_opens_nothing(proxy: Proxy) -> None:
    nonce = proxy.client.post("/nonces", json=EXPECTED).json()["nonce"]
    assert proxy.ask(CT, nonce=nonce, **EXPECTED).status_code == 200
    problem(proxy.ask(CT, nonce=nonce, **EXPECTED), 409, RefusalCode.NONCE)
    other = proxy.client.post("/nonces", json={"patient": "another"}).json()["nonce"]
    problem(proxy.ask(CT, nonce=other, **EXPECTED), 409, RefusalCode.NONCE)


def test_requests_out_of_form_are_problems(proxy: Proxy) -> None:
    for answer in (
        proxy.client.post("/predict"),
        proxy.client.post("/predict", data={"image": "text"}),
        proxy.client.post("/predict", content=b"--x", headers={"content-type": "multipart/form-data; boundary=x"}),
        proxy.client.post("/predict", files={"image": ("a", CT)}, data={"patient": "x" * 300}),
        proxy.client.get("/predict"),
        proxy.client.get("/nothing"),
        proxy.client.post("/nonces", json={"patient": 1}),
    ):
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"


def test_figures_count_decisions(proxy: Proxy) -> None:
    problem(proxy.ask(altered(), **EXPECTED), 403, RefusalCode.MISMATCH)
    assert 'mithridate_gate_decisions_total{code="mismatch"}' in proxy.client.get("/metrics").text


@pytest.mark.parametrize("form", ["dicom", "fhir"])
def test_every_decision_leaves_an_audit_event(
    form: str, model: tuple[Model, str], folder: Path, tmp_path: Path, stack: ExitStack
) -> None:
    file = tmp_path / "audit.log"
    settings = ProxySettings(
        port=0,
        model=model[1],
        ledger=str(folder),
        policy=Policy(log_key=key_of(folder)),
        state=tmp_path,
        audit_file=file,
        audit_format=form,  # type: ignore[arg-type]
    )
    proxy = Proxy(settings, stack)
    assert proxy.client.get("/health/ready").status_code == 200
    assert proxy.ask(CT, **EXPECTED).status_code == 200
    problem(proxy.ask(altered(), **EXPECTED), 403, RefusalCode.MISMATCH)
    problem(proxy.ask(CT, patient="another"), 403, RefusalCode.UNEXPECTED_IDENTITY)
    lines = file.read_text().splitlines()
    if form == "fhir":
        events = [json.loads(line) for line in lines]
        told = [(event["outcome"], event.get("outcomeDesc", "")) for event in events]
        assert all(event["source"]["observer"]["display"] == "mithridate-gate" for event in events)
    else:
        events = [ElementTree.fromstring(line) for line in lines]
        told = [(event[0].attrib["EventOutcomeIndicator"], event[0].findtext(DESCRIPTION, "")) for event in events]
        assert all(event.find("*[@AuditSourceID='mithridate-gate']") is not None for event in events)
    assert [outcome for outcome, _ in told] == ["0", "0", "4", "4"]  # started, admitted, refused, refused
    assert ["IDENTICAL" in said for _, said in told] == [False, True, False, False]
    assert ["mismatch" in said for _, said in told] == [False, False, True, False]
    assert CT_PATIENT not in file.read_text()
    assert "another" not in "".join(said for _, said in told[3:]).replace("another PatientID", "")


def test_a_lost_audit_event_shows(model: tuple[Model, str], folder: Path, tmp_path: Path, stack: ExitStack) -> None:
    policy = Policy(log_key=key_of(folder))
    settings = ProxySettings(port=0, model=model[1], ledger=str(folder), policy=policy, state=tmp_path)
    proxy = Proxy(settings.model_copy(update={"audit_syslog": "tcp://127.0.0.1:9"}), stack)
    problem(proxy.ask(altered(), **EXPECTED), 403, RefusalCode.MISMATCH)
    problem(proxy.client.get("/health/ready"), 503, "audit-lost")


def test_a_gate_without_a_ledger_takes_bundles_and_can_forward_bytes(
    model: tuple[Model, str], folder: Path, tmp_path: Path, stack: ExitStack
) -> None:
    with Ledger.open(folder) as ledger:
        key, bundle = str(ledger.verifier()), ledger.prove(CT_INDEX).encode()
    settings = ProxySettings(port=0, model=model[1], forward="bytes", policy=Policy(log_key=key), state=tmp_path)
    proxy = Proxy(settings, stack)
    assert proxy.ask(CT, bundle, **EXPECTED).status_code == 200
    assert model[0].requests[-1][1] == CT
    problem(proxy.ask(CT, **EXPECTED), 403, RefusalCode.PROOF)
    problem(proxy.ask(altered(), bundle, **EXPECTED), 403, RefusalCode.MISMATCH)
    journal = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert [line["code"] for line in journal] == ["admitted", "proof", "mismatch"]


@pytest.mark.parametrize("path", ["/moved", "/absent"])
def test_a_model_that_gives_no_answer_is_a_problem_or_its_own(
    path: str, model: tuple[Model, str], folder: Path, tmp_path: Path, stack: ExitStack
) -> None:
    address = model[1].removesuffix("/model") + path
    policy = Policy(log_key=key_of(folder))
    answer = Proxy(ProxySettings(port=0, model=address, ledger=str(folder), policy=policy, state=tmp_path), stack).ask(
        CT, **EXPECTED
    )
    if path == "/moved":
        problem(answer, 502, "model")
    else:
        assert answer.status_code == 404  # the model's own answer
        assert answer.headers["mithridate-verdict"] == "IDENTICAL"


def test_a_gate_behind_the_ledgers_service_checks_for_itself(template: Path, tmp_path: Path, stack: ExitStack) -> None:
    ledger = stack.enter_context(copied(template, tmp_path / "ledger"))
    service = Service(ledger, tmp_path, stack)
    remote = stack.enter_context(RemoteLedger(service.address, ledger.verifier(), api_key=service.keys[Role.VERIFIER]))
    policy = Policy(log_key=str(ledger.verifier()), identity="optional")
    gate = Gate(policy, remote)
    assert gate.admit(CT, expected=Expected(patient=CT_PATIENT)).size == ledger.size
    second = edited(SOPInstanceUID="1.2.3.4")
    capture(ledger, second)
    assert gate.admit(second).size == ledger.size  # which takes a proof from tiles that the log has grown by it
    assert gate.admit(second).alerts
    with pytest.raises(GateRefusal) as refused:
        gate.admit(altered())
    assert refused.value.code is RefusalCode.MISMATCH
    stranger = stack.enter_context(RemoteLedger(service.address, ledger.verifier(), api_key="wrong"))
    with pytest.raises(GateRefusal) as refused:
        Gate(policy, stranger).admit(CT)
    assert refused.value.code is RefusalCode.LEDGER
    nobody = stack.enter_context(RemoteLedger("http://127.0.0.1:9", ledger.verifier(), timeout=2))
    with pytest.raises(LedgerFailure):
        nobody.checkpoint()
    with pytest.raises(GateRefusal) as refused:
        dataclasses.replace(gate, source=nobody).admit(CT)
    assert refused.value.code is RefusalCode.LEDGER


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "ftp://x"}, "model"),
        ({"path": "/metrics"}, "taken"),
        ({"path": "predict"}, "path"),
        ({"ledger": None, "policy": {"proof_required": False}}, "bring a proof"),
        ({"ledger": "https://ledger.example", "policy": {"proof_required": False}}, "log_key"),
        ({"host": "0.0.0.0"}, "in the open"),
    ],
)
def test_settings_that_would_let_anything_through_are_refused(
    values: dict[str, object], message: str, folder: Path, tmp_path: Path
) -> None:
    known = {"model": "http://127.0.0.1:1/", "ledger": str(folder), "policy": {"log_key": key_of(folder)}}
    path = tmp_path / "gate.yaml"
    path.write_text(json.dumps({"state": "state", **known}))
    assert load_proxy_settings(path).state == tmp_path / "state"
    path.write_text(json.dumps({"state": "state", **known, **values}))
    with pytest.raises(UserError, match=message):
        load_proxy_settings(path)
