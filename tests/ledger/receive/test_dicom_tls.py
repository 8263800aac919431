"""The DICOM door over TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pynetdicom import AE

from ledger.receive.certificates import self_signed
from ledger.receive.sending import CT, PATIENT, image, store, wait_for
from mithridate.errors import UserError
from mithridate.ledger.receive.dicom import DicomReceiver, server_tls

Start = Callable[..., DicomReceiver]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """A self-signed certificate with its key for the receiver, one for a sender, and one for a stranger."""
    folder = tmp_path_factory.mktemp("tls")
    return {name: self_signed(folder, name) for name in ("receiver", "sender", "stranger")}


def client_tls(certificates: dict[str, tuple[Path, Path]], who: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates["receiver"][0]))
    if who is not None:
        context.load_cert_chain(*certificates[who])
    return context


def test_over_tls_only_senders_with_a_known_certificate_are_heard(
    receiver: Start, certificates: dict[str, tuple[Path, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    tls = server_tls(*certificates["receiver"], clients=certificates["sender"][0])
    port = receiver(replace(PATIENT, handshake_seconds=20.0), tls=tls).port
    # A client that opens a connection and says nothing keeps nobody waiting.
    with socket.create_connection(("127.0.0.1", port), timeout=60):
        data = image(name="MR_small.dcm")
        context = client_tls(certificates, "sender")
        assert store(port, data, tls_args=(context, "localhost")).Status == 0
    for who in (None, "stranger"):
        entity = AE()
        entity.add_requested_context(CT)
        association = entity.associate("127.0.0.1", port, tls_args=(client_tls(certificates, who), "localhost"))
        assert not association.is_established
    wait_for(lambda: caplog.text.count("TLS handshake with 127.0.0.1 failed") >= 2)


def test_files_that_hold_no_certificates_are_named(certificates: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(UserError, match=r"empty\.pem with .* is no certificate with its key"):
        server_tls(empty, certificates["receiver"][1])
    with pytest.raises(UserError, match=r"empty\.pem holds no certificates to check clients by"):
        server_tls(*certificates["receiver"], clients=empty)
