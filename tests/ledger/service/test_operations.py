"""Submit, verify, prove and read, over a real connection; every error a problem document."""

from __future__ import annotations

import base64
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ledger.dicom_files import read as read_file
from ledger.dicom_files import write
from ledger.gate.ledgers import CT, CT_INDEX, CT_PATIENT, CT_UID, ORIGIN, STATION, altered, edited
from ledger.service.conftest import Service
from mithridate.ledger import merkle
from mithridate.ledger.bundle import ProofBundle, judge_offline
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.fingerprint import Verdict, fingerprint_image
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger
from mithridate.ledger.note_keys import NoteKey, VerifierKey
from mithridate.ledger.record import Capture, Enrolment
from mithridate.ledger.sealed import new_salt
from mithridate.ledger.service.roles import Role
from mithridate.ledger.service.wire import FingerprintBody, JudgementBody, ReceiptBody
from mithridate.ledger.station import Station
from mithridate.ledger.tile_reader import TileReader

_counter = iter(range(1, 1000))


def problem(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    return str(body["detail"])


def fresh() -> bytes:
    """An image that no test has logged, with pixels of its own."""
    number = next(_counter)
    pixels = number.to_bytes(2, "little") + read_file("CT_small.dcm").PixelData[2:]
    return edited(SOPInstanceUID=f"1.2.3.{number}", PixelData=pixels)


def device(number: int) -> Station:
    signer = FileSigner.from_seed(bytes([number]) * 32)
    return Station(DeviceIdentity(f"CT-{number}", "Maker", "Model", str(number), "1", signer.public_key), signer)


def enroll(service: Service, station: Station) -> httpx.Response:
    entry = station.sign(Enrolment.create(station.identity, station.signer), 0)
    return service.client(Role.ADMIN).post("/v1/enrolments", json={"entry": base64.b64encode(entry).decode()})


def submission(station: Station, data: bytes, sequence: int) -> dict[str, object]:
    salt, fingerprint = new_salt(), fingerprint_image(data, "image")
    entry = station.sign(Capture(fingerprint.seal(salt), "http"), sequence)
    return {
        "entry": base64.b64encode(entry).decode(),
        "salt": base64.b64encode(salt).decode(),
        "identity": {name: value.hex() if value else None for name, value in fingerprint.identity.items()},
    }


def test_an_image_is_submitted_verified_and_proved(service: Service) -> None:
    data = fresh()
    submitted = service.client(Role.DEVICE).post("/v1/images", params={"station": STATION}, content=data)
    assert submitted.status_code == 201
    receipt = ReceiptBody.model_validate(submitted.json()).receipt()
    checkpoint, _ = open_checkpoint(receipt.checkpoint, [service.ledger.verifier()], origin=ORIGIN)
    assert receipt.index < checkpoint.size
    verifier = service.client(Role.VERIFIER)
    found = JudgementBody.model_validate_json(verifier.post("/v1/verify", content=data).content).judgement()
    assert (found.verdict, found.index) == (Verdict.IDENTICAL, receipt.index)
    proof = verifier.get(submitted.headers["location"])
    bundle = ProofBundle.decode(proof.content)
    assert judge_offline(bundle, service.ledger.verifier(), data, "image").is_accepted
    bare = ProofBundle.decode(verifier.get(submitted.headers["location"], params={"salt": "false"}).content)
    assert bare == dataclasses.replace(bundle, salt=None, status=bare.status)


@pytest.mark.parametrize(
    ("data", "verdict", "attributes"),
    [(altered(), "MISMATCH", []), (edited(RescaleSlope=3), "METADATA-EDITED", ["RescaleSlope"])],
)
def test_what_was_changed_is_named(data: bytes, verdict: str, attributes: list[str], service: Service) -> None:
    verifier = service.client(Role.VERIFIER)
    body = FingerprintBody.of(fingerprint_image(data, "image")).model_dump()
    for answer in (verifier.post("/v1/verify", content=data), verifier.post("/v1/verify/fingerprint", json=body)):
        assert answer.status_code == 200
        found = answer.json()
        assert (found["verdict"], found["accepted"], found["attributes"]) == (verdict, False, attributes)
        assert found["index"] == CT_INDEX


def test_what_is_no_image_is_unknown_to_verify_and_refused_to_log(service: Service) -> None:
    answer = service.client(Role.VERIFIER).post("/v1/verify", content=b"nothing")
    assert answer.json()["verdict"] == "UNKNOWN"
    refused = service.client(Role.DEVICE).post("/v1/images", params={"station": STATION, "name": "x"}, content=CT[:-9])
    assert "ends early" in problem(refused, 422, "unreadable-image")
    missing = service.client(Role.DEVICE).post("/v1/images", params={"station": "CT9"}, content=CT)
    assert "CT9" in problem(missing, 422, "refused")


def test_a_device_submits_its_own_records(service: Service) -> None:
    station = device(10)
    answer = enroll(service, station)
    assert (answer.status_code, answer.json()["device"]) == (201, station.device_id.hex())
    client = service.client(Role.DEVICE)
    data = fresh()
    body = submission(station, data, 1)
    first = client.post("/v1/entries", json=body)
    again = client.post("/v1/entries", json=body)
    assert first.status_code == again.status_code == 201
    assert first.json()["index"] == again.json()["index"]
    assert service.ledger.judge(data, "image").index == first.json()["index"]
    skipped = client.post("/v1/entries", json=submission(station, fresh(), 7))
    problem(skipped, 409, "sequence")
    assert skipped.json()["expected_sequence"] == 2


def test_records_of_strangers_and_forgeries_are_refused(service: Service) -> None:
    client = service.client(Role.DEVICE)
    problem(client.post("/v1/entries", json=submission(device(11), CT, 0)), 422, "refused")
    station = device(12)
    enroll(service, station)
    body = submission(station, fresh(), 1)
    entry = base64.b64decode(str(body["entry"]))
    for place in (5, len(entry) // 2, len(entry) - 1):
        forged = entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :]
        answer = client.post("/v1/entries", json=body | {"entry": base64.b64encode(forged).decode()})
        assert answer.status_code in (409, 422), answer.text
        problem(answer, answer.status_code, answer.json()["code"])
    for wrong in (
        {"entry": "*"},
        {"entry": ""},
        {},
        {"salt": None},
        {"salt": "AAAA"},
        {"identity": {"PatientID": "12"}},
        {"extra": 1},
    ):
        answer = client.post("/v1/entries", json=wrong if wrong == {} else body | wrong)
        assert answer.status_code == 422
        problem(answer, 422, answer.json()["code"])
    assert client.post("/v1/entries", json=body).status_code == 201


def test_enrolments_and_revocations_are_not_submitted_as_records(service: Service) -> None:
    station = device(13)
    entry = station.sign(Enrolment.create(station.identity, station.signer), 0)
    answer = service.client(Role.DEVICE).post("/v1/entries", json={"entry": base64.b64encode(entry).decode()})
    assert "enrolment" in problem(answer, 422, "refused")
    assert service.ledger.size == service.client(Role.DEVICE).get("/v1/log").json()["size"]


def test_a_revocation_ends_what_it_names(service: Service) -> None:
    data = fresh()
    receipt = service.client(Role.DEVICE).post("/v1/images", params={"station": STATION}, content=data).json()
    admin, verifier = service.client(Role.ADMIN), service.client(Role.VERIFIER)
    body = {"scope": "record", "target": receipt["leaf"], "reason": "wrong patient"}
    assert admin.post("/v1/revocations", json=body).status_code == 201
    assert verifier.post("/v1/verify", content=data).json()["verdict"] == "REVOKED"
    for wrong in ({"scope": "country"}, {"target": "12"}, {"reason": ""}, {"target": "00" * 32}):
        answer = admin.post("/v1/revocations", json=body | wrong)
        assert answer.status_code == 422
        problem(answer, 422, answer.json()["code"])


def test_genuine_receipts_are_told_from_forged_ones(service: Service) -> None:
    client = service.client(Role.DEVICE)
    receipt = client.post("/v1/images", params={"station": STATION}, content=fresh()).json()
    client.post("/v1/images", params={"station": STATION}, content=fresh())  # the log has grown since
    assert client.post("/v1/receipts/check", json=receipt).json()["genuine"]
    origin, size, root = receipt["checkpoint"].split("\n")[:3]
    stranger = NoteKey(ORIGIN, FileSigner.from_seed(b"\x09" * 32))
    forged_root = receipt["checkpoint"].replace(root, base64.b64encode(b"\x01" * 32).decode())
    text = f"{origin}\n{size}\n{root}\n"
    own_signature = f"{text}\n{stranger.sign_text(text).line()}"
    for forged in (
        {"index": receipt["index"] - 1},
        {"index": 10**9},
        {"leaf": "00" * 32},
        {"device": "00" * 32},
        {"sequence": receipt["sequence"] + 1},
        {"checkpoint": forged_root},
        {"checkpoint": own_signature},
        {"checkpoint": ""},
    ):
        answer = client.post("/v1/receipts/check", json=receipt | forged)
        problem(answer, 422, "refused")


def test_the_log_can_be_mirrored_and_checked_from_its_tiles(service: Service) -> None:
    client = service.client(Role.VERIFIER)
    about = client.get("/v1/log").json()
    note = client.get("/checkpoint")
    assert note.headers["cache-control"] == "no-cache"
    checkpoint, _ = open_checkpoint(note.content, [VerifierKey.parse(about["key"])], origin=about["origin"])

    def fetch(path: str) -> bytes | None:
        answer = client.get(f"/{path}")
        if answer.status_code == 404:
            return None
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        return answer.content

    reader = TileReader(fetch, checkpoint.size)
    reader.verify(checkpoint.root)
    merkle.verify_inclusion(
        CT_INDEX, reader.size, reader.leaf(CT_INDEX), reader.inclusion_proof(CT_INDEX), checkpoint.root
    )


@pytest.mark.parametrize(
    "path",
    [
        "/tile/../config.json",
        "/tile/%2e%2e/%2e%2e/ledger.sqlite",
        "/tile/..%2f..%2fledger.sqlite",
        "/tile/entries/000.p/0",
        "/tile/0/0",
        "/tile/0/000.p/01",
        "/tile/64/000",
        "/tile/0/999",
        "/tile//etc/passwd",
        "/tile/0/x000/../../../../keys",
        "/tile/entries/000'%20OR%20'1'='1",
        "/tile/0/000%00",
        "/v1/entries/999999999/proof",
        "/nothing",
        "/",
        "/docs",
    ],
)
def test_paths_lead_nowhere_else(path: str, service: Service) -> None:
    answer = service.client(Role.ADMIN).get(path)
    problem(answer, 404, "not-found")


@pytest.mark.parametrize("index", ["-1", "1.5", "1;DROP TABLE entries", "' OR 1=1 --", str(2**63), "9" * 400])
def test_numbers_are_numbers(index: str, service: Service) -> None:
    size = service.ledger.size
    answer = service.client(Role.ADMIN).get(f"/v1/entries/{index}/proof")
    assert answer.status_code in (404, 422)
    problem(answer, answer.status_code, answer.json()["code"])
    assert service.ledger.size == size
    assert service.ledger.judge(CT, "image").verdict is Verdict.IDENTICAL


@pytest.mark.parametrize("hostile", ["'; DROP TABLE entries; --", "../../x", "\u202e", "a" * 200, "<script>"])
def test_names_are_only_names(hostile: str, service: Service) -> None:
    client = service.client(Role.DEVICE)
    answer = client.post("/v1/images", params={"station": hostile}, content=CT)
    problem(answer, 422, "refused")
    answer = client.post("/v1/images", params={"station": STATION, "name": hostile}, content=fresh())
    assert answer.status_code == 201
    identity = {hostile: "00" * 32}
    body = FingerprintBody.of(fingerprint_image(CT, "image")).model_dump() | {"identity": identity}
    answer = service.client(Role.VERIFIER).post("/v1/verify/fingerprint", json=body)
    assert answer.status_code in (200, 422)
    assert service.ledger.judge(CT, "image").verdict is Verdict.IDENTICAL


def test_wrong_methods_and_bodies_are_problems(service: Service) -> None:
    client = service.client(Role.ADMIN)
    assert "Not Allowed" in problem(client.put("/v1/log"), 405, "method-not-allowed")
    for body in (b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"{" * 100_000):
        answer = client.post("/v1/entries", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)
        problem(answer, answer.status_code, answer.json()["code"])


def test_many_at_once_lose_nothing(service: Service) -> None:
    images = [fresh() for _ in range(24)]
    barrier = threading.Barrier(8)

    def submit(worker: int) -> list[int]:
        client = service.client(Role.DEVICE)
        barrier.wait()
        answers = [client.post("/v1/images", params={"station": STATION}, content=data) for data in images[worker::8]]
        return [answer.json()["index"] for answer in answers if answer.status_code == 201]

    with ThreadPoolExecutor(8) as pool:
        indices = [index for found in pool.map(submit, range(8)) for index in found]
    assert len(set(indices)) == len(images)
    assert service.ledger.fsck().is_clean
    assert all(service.ledger.judge(data, "image").is_accepted for data in images)


def test_dicomweb_store_is_mounted(service: Service) -> None:
    dataset = read_file("MR_small.dcm")
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.9.{next(_counter)}"
    data = write(dataset)
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
    headers = {"content-type": 'multipart/related; type="application/dicom"; boundary=b'}
    address = "/dicom-web/studies"
    assert service.client().post(address, content=body, headers=headers).status_code == 401
    assert service.client(Role.VERIFIER).post(address, content=body, headers=headers).status_code == 403
    stored = service.client(Role.DEVICE).post(address, content=body, headers=headers)
    assert stored.status_code == 200, stored.text
    assert service.ledger.judge(data, "image").is_accepted


def test_health_needs_no_key_and_figures_need_one(service: Service) -> None:
    anybody = service.client()
    assert anybody.get("/health/live").json() == {"status": "live"}
    assert anybody.get("/health/ready").json() == {"status": "ready"}
    problem(anybody.get("/metrics"), 401, "unauthenticated")
    service.client(Role.VERIFIER).post("/v1/verify", content=altered())
    text = service.client(Role.AUDITOR).get("/metrics").text
    assert 'mithridate_verdicts_total{verdict="MISMATCH"}' in text
    assert f"mithridate_log_size {float(service.ledger.size)}" in text
    assert 'operation="/v1/verify"' in text


def test_a_service_whose_ledger_is_away_says_so(serve: type[Service]) -> None:
    from mithridate.ledger.receipt import LedgerFailure

    service = serve()

    class Away(Ledger):
        def __init__(self) -> None: ...

        def __getattribute__(self, name: str) -> object:
            raise LedgerFailure("the database cannot be reached")

    service.context.ledger = Away()
    problem(service.client().get("/health/ready"), 503, "ledger-unavailable")
    problem(service.client(Role.VERIFIER).post("/v1/verify", content=CT), 503, "ledger-unavailable")
    assert service.client().get("/health/live").status_code == 200
    service.context.ledger = service.ledger


def test_a_ledger_that_is_damaged_is_not_believed(serve: type[Service]) -> None:
    service = serve()
    for tile in service.ledger.tiles_folder.glob("tile/entries/**/*"):
        if tile.is_file():
            held = tile.read_bytes()
            tile.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    receipt = service.client(Role.DEVICE).get("/checkpoint").text
    leaf, sequence = service.ledger.reader().leaf(CT_INDEX).hex(), 1
    device_id = service.ledger.station(STATION).device_id.hex()
    body = {"index": CT_INDEX, "leaf": leaf, "device": device_id, "sequence": sequence, "checkpoint": receipt}
    answer = service.client(Role.DEVICE).post("/v1/receipts/check", json=body)
    problem(answer, 500, "ledger-damaged")


def test_no_answer_holds_the_patient(service: Service) -> None:
    verifier = service.client(Role.VERIFIER)
    answers = [
        verifier.post("/v1/verify", content=CT),
        verifier.post("/v1/verify", content=altered()),
        verifier.get("/v1/entries/2/proof"),
        verifier.get("/tile/entries/000.p/3"),
    ]
    for answer in answers:
        assert CT_PATIENT.encode() not in answer.content
        assert CT_UID.encode() not in answer.content
