"""The web door, with a real server: dicomweb-client, and requests that no client should send."""

from __future__ import annotations

import io
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from ledger.dicom_files import read, write
from ledger.receive.sending import image, split
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.intake import Intake
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.multipart import MultipartError, PartReader
from mithridate.ledger.receive.stow import stow_app
from mithridate.ledger.station import Station

LIMITS = ReceiveLimits(object_bytes=1 << 20, request_bytes=3 << 20)
BOUNDARY = "a boundary"


@pytest.fixture(scope="module")
def url(ledger: Ledger, station: Station) -> Iterator[str]:
    """A server on the loopback interface."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(stow_app(Intake(ledger, station, limits=LIMITS)), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


def part(data: bytes, content_type: str = "application/dicom") -> bytes:
    return f"--{BOUNDARY}\r\nContent-Type: {content_type}\r\n\r\n".encode() + data + b"\r\n"


def post(
    url: str, *parts: bytes, path: str = "/studies", end: bytes = f"--{BOUNDARY}--\r\n".encode(), **headers: str
) -> httpx.Response:
    kind = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
    fields = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(url + path, content=b"".join(parts) + end, headers=fields, timeout=90)


def items(answer: httpx.Response, tag: str) -> list[dict[str, Any]]:
    return list(answer.json().get(tag, {}).get("Value", []))


def reasons(answer: httpx.Response, tag: str = "00081198") -> list[int]:
    return [item["00081197"]["Value"][0] for item in items(answer, tag)]


def test_dicomweb_client_stores_and_reads_the_answer(url: str, ledger: Ledger) -> None:
    files = [image(), write(read("MR_small_jp2klossless.dcm")), image()]
    size = ledger.size
    answer = DICOMwebClient(url).store_instances([dcmread(io.BytesIO(data)) for data in files])
    assert ledger.size == size + 3
    stored = [str(item.ReferencedSOPInstanceUID) for item in answer.ReferencedSOPSequence]
    assert stored == [str(split(data)[0].SOPInstanceUID) for data in files]
    assert "FailedSOPSequence" not in answer
    for data in files:
        assert ledger.judge(data, "sent").verdict in (Verdict.IDENTICAL, Verdict.TRANSCODED)


def test_what_is_stored_is_identical_and_said_in_the_order_of_the_parts(url: str, ledger: Ledger) -> None:
    files = [image() for _ in range(12)]
    answer = post(url, *map(part, files))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert [item["00081155"]["Value"][0] for item in items(answer, "00081199")] == [
        str(split(data)[0].SOPInstanceUID) for data in files
    ]
    assert all(ledger.judge(data, "sent").verdict is Verdict.IDENTICAL for data in files)


def test_some_good_and_some_bad_is_202_with_a_reason_for_each(url: str, ledger: Ledger) -> None:
    good, cut, large = image(), image()[:-3000], image(ImageComments="x" * (1 << 20))
    unknown = image().replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.9.9.9\x00", 1)
    size = ledger.size
    answer = post(url, part(good), part(cut), part(b"no DICOM"), part(large), part(good, "text/plain"), part(unknown))
    assert answer.status_code == 202
    assert ledger.size == size + 1
    assert [item["00081155"]["Value"] for item in items(answer, "00081199")] == [[str(split(good)[0].SOPInstanceUID)]]
    assert reasons(answer) == [0xC000, 0xC000]  # the cut one, and the one of another type, whose UIDs can be read
    assert reasons(answer, "0008119A") == [0xC000, 0xA700, 0xC122]
    assert answer.headers["warning"].startswith('299 mithridate "part 2 of the request ends early')


def test_nothing_good_is_409(url: str, ledger: Ledger) -> None:
    size = ledger.size
    answer = post(url, part(image()[:-3000]))
    assert answer.status_code == 409
    assert reasons(answer) == [0xC000]
    assert ledger.size == size


def test_an_instance_of_another_study_is_refused(url: str) -> None:
    data = image()
    study = str(split(data)[0].StudyInstanceUID)
    assert post(url, part(data), path=f"/studies/{study}").status_code == 200
    answer = post(url, part(data), path=f"/studies/{study}.1")
    assert answer.status_code == 409
    assert reasons(answer) == [0xA900]
    assert post(url, part(data), path="/studies/..%2Fx").status_code in (400, 404)
    assert post(url, part(data), path="/studies/1.2.x").status_code == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/dicom", 415),
        ("multipart/form-data; boundary=a", 415),
        ('multipart/related; type="application/dicom+json"; boundary=a', 415),
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary=""', 400),
        (f'multipart/related; type="application/dicom"; boundary={"b" * 500}', 400),
        ("", 415),
    ],
)
def test_another_content_type_is_refused_as_a_problem(url: str, kind: str, status: int) -> None:
    answer = httpx.post(f"{url}/studies", content=b"--a--", headers={"content-type": kind}, timeout=90)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_a_body_that_is_cut_off_says_what_was_stored_before(url: str, ledger: Ledger) -> None:
    size = ledger.size
    answer = post(url, part(image()), part(image())[:-5000], end=b"")
    assert answer.status_code == 400
    assert "ends before its last boundary" in answer.json()["detail"]
    assert "1 instances were logged before that" in answer.json()["detail"]
    assert ledger.size == size + 1


@pytest.mark.parametrize("body", [b"", b"garbage", f"--{BOUNDARY}--".encode(), b"\r\n" * 100])
def test_a_body_without_an_instance_is_a_bad_request(url: str, body: bytes) -> None:
    assert post(url, body, end=b"").status_code == 400


def test_too_large_a_request_is_413(url: str, ledger: Ledger) -> None:
    answer = post(url, part(bytes(4 << 20)))
    assert answer.status_code == 413
    assert "may have 3,145,728 bytes" in answer.json()["detail"]


def test_answers_that_nobody_accepts_are_406(url: str, ledger: Ledger) -> None:
    size = ledger.size
    assert post(url, part(image()), accept="text/html").status_code == 406
    assert ledger.size == size
    assert post(url, part(image()), accept="text/html, application/dicom+json;q=0.5").status_code == 200


def test_a_client_that_breaks_off_leaves_only_whole_instances(url: str, ledger: Ledger) -> None:
    size = ledger.size
    host, port = url.removeprefix("http://").split(":")
    head = f'POST /studies HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/related; boundary="{BOUNDARY}"\r\n'
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + b"Content-Length: 900000\r\n\r\n" + part(image()) + part(image())[:20_000])
    assert post(url, part(image())).status_code == 200  # which the server answers after it
    assert ledger.size <= size + 2
    assert not ledger.fsck().problems


def test_the_description_of_the_service_names_every_answer(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json", timeout=90).json()["paths"]
    for path in ("/studies", "/studies/{study}"):
        declared = paths[path]["post"]
        assert {"200", "202", "400", "406", "409", "413", "415", "503"} <= set(declared["responses"])
        assert list(declared["requestBody"]["content"]) == ["multipart/related"]


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_parts_are_cut_out_exactly_however_the_stream_is_divided(step: int) -> None:
    contents = [b"", b"\r\n", b"--" + BOUNDARY.encode(), b"x\r\n--a bound", bytes(range(256)), uuid.uuid4().bytes * 9]
    stream = b"".join(map(part, contents)) + f"--{BOUNDARY}--".encode()
    reader = PartReader(BOUNDARY, 1 << 20, None)
    found = []
    for start in range(0, len(stream), step):
        found += reader.feed(stream[start : start + step])
    reader.finish()
    assert [one.body.take() for one in found] == contents
    assert {one.content_type for one in found} == {"application/dicom"}


def test_a_part_with_endless_headers_is_refused() -> None:
    reader = PartReader(BOUNDARY, 1 << 20, None)
    with pytest.raises(MultipartError):
        reader.feed(f"--{BOUNDARY}\r\nX: ".encode() + b"y" * (1 << 20))
