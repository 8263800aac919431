"""Who may do what: keys, certificates and roles, over real connections with real TLS."""

from __future__ import annotations

import json
import ssl
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ledger.gate.ledgers import CT, STATION
from ledger.service.conftest import Service
from ledger.service.running import Authority
from ledger.service.test_operations import fresh, problem
from mithridate.errors import UserError
from mithridate.ledger.service.credentials import Credentials
from mithridate.ledger.service.limits import RateLimit
from mithridate.ledger.service.roles import PERMISSIONS, Permission, Role
from mithridate.ledger.service.settings import load_settings

_REQUESTS: dict[Permission, Callable[[httpx.Client], httpx.Response]] = {
    Permission.SUBMIT: lambda client: client.post("/v1/images", params={"station": STATION}, content=fresh()),
    Permission.JUDGE: lambda client: client.post("/v1/verify", content=CT),
    Permission.PROVE: lambda client: client.get("/v1/entries/2/proof"),
    Permission.READ_LOG: lambda client: client.get("/checkpoint"),
    Permission.MONITOR: lambda client: client.get("/metrics"),
    Permission.ENROLL: lambda client: client.post("/v1/enrolments", json={"entry": ""}),
    Permission.REVOKE: lambda client: client.post("/v1/revocations", json={}),
}


@pytest.mark.parametrize("role", [*Role, None])
def test_each_role_may_do_what_it_is_for_and_nothing_else(role: Role | None, service: Service) -> None:
    client = service.client(role)
    for permission, request in _REQUESTS.items():
        status = request(client).status_code
        if role is None:
            assert status == 401
        elif permission in PERMISSIONS[role]:
            assert status not in (401, 403)
        else:
            assert status == 403


@pytest.mark.parametrize(
    "key", ["x", "mithridate_000000000000_" + "A" * 43, "mithridate_" + "0" * 100, "\x7f", "Bearer"]
)
def test_keys_of_nobodys_are_refused(key: str, service: Service) -> None:
    answer = service.client(key=key).get("/checkpoint")
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_with_one_letter_changed_is_nobodys(service: Service) -> None:
    key = service.keys[Role.ADMIN]
    for place in (11, 30, len(key) - 2):
        other = "b" if key[place] == "a" else "a"
        answer = service.client(key=key[:place] + other + key[place + 1 :]).get("/checkpoint")
        problem(answer, 401, "unauthenticated")


def test_a_removed_or_expired_key_ends_at_once(service: Service) -> None:
    credential, key = service.credentials.create_key("leaver", Role.VERIFIER)
    client = service.client(key=key)
    assert client.get("/checkpoint").status_code == 200
    service.credentials.remove(credential.id)
    problem(client.get("/checkpoint"), 401, "unauthenticated")
    _, short = service.credentials.create_key("guest", Role.VERIFIER, lifetime=-1)
    problem(service.client(key=short).get("/checkpoint"), 401, "unauthenticated")


def test_a_key_of_one_device_submits_for_no_other(service: Service) -> None:
    own = service.ledger.station(STATION).device_id
    for device, status in ((own, 201), (b"\x01" * 32, 403)):
        _, key = service.credentials.create_key("bound", Role.DEVICE, device=device)
        answer = service.client(key=key).post("/v1/images", params={"station": STATION}, content=fresh())
        assert answer.status_code == status


def test_the_file_holds_no_key_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    first, second = Credentials(path), Credentials(path)
    _, key = first.create_key("one", Role.VERIFIER)
    assert key.rpartition("_")[2] not in path.read_text()
    found = second.recognize_key(key)
    assert found is not None
    assert found.name == "one"
    expiring, later = first.create_key("two", Role.ADMIN, lifetime=100)
    assert expiring.expires is not None
    assert second.recognize_key(later, expiring.expires - 1) is not None
    assert second.recognize_key(later, expiring.expires) is None
    with pytest.raises(UserError, match="no credential"):
        first.remove("ffffffffffff")
    path.write_text(json.dumps([{"id": "x"}]))
    with pytest.raises(UserError, match=r"credentials\.json"):
        second.list()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_tls_and_client_certificates(authority: Authority, serve: Callable[..., Service], tmp_path: Path) -> None:
    certificate, key, _ = authority.issue("server")
    service = serve(certificate=certificate, key=key, client_authorities=authority.file)
    assert service.address.startswith("https://")
    trusting = ssl.create_default_context(cafile=authority.file)
    with httpx.Client(base_url=service.address, verify=trusting, trust_env=False) as anybody:
        assert anybody.get("/health/live").status_code == 200
        problem(anybody.get("/checkpoint"), 401, "unauthenticated")
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as stranger:
        stranger.get(service.address + "/health/live")

    def connect(issuer: Authority, name: str) -> tuple[httpx.Client, bytes]:
        file, private, der = issuer.issue(name)
        context = ssl.create_default_context(cafile=authority.file)
        context.load_cert_chain(file, private)
        return httpx.Client(base_url=service.address, verify=context, trust_env=False), der

    known, der = connect(authority, "scanner")
    service.credentials.add_certificate("scanner", Role.VERIFIER, der)
    unknown, _ = connect(authority, "unknown")
    with known, unknown:
        assert known.get("/checkpoint").status_code == 200
        problem(known.get("/metrics"), 403, "forbidden")
        problem(unknown.get("/checkpoint"), 401, "unauthenticated")
    other = Authority(tmp_path, "other authority")
    forged, forged_der = connect(other, "forged")
    service.credentials.add_certificate("forged", Role.ADMIN, forged_der)  # its holder shows it, and nobody vouches
    with forged, pytest.raises(httpx.TransportError):
        forged.get("/checkpoint")
    old = ssl.create_default_context(cafile=authority.file)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=old, trust_env=False) as outdated:
        outdated.get(service.address + "/health/live")


def test_client_certificates_can_be_required(authority: Authority, serve: Callable[..., Service]) -> None:
    certificate, key, _ = authority.issue("server")
    service = serve(certificate=certificate, key=key, client_authorities=authority.file, client_certificates="required")
    trusting = ssl.create_default_context(cafile=authority.file)
    with httpx.Client(verify=trusting, trust_env=False) as anybody, pytest.raises(httpx.TransportError):
        anybody.get(service.address + "/health/live")


def test_a_public_log_shows_its_tiles_and_no_proofs(serve: Callable[..., Service]) -> None:
    service = serve(public_log=True)
    anybody = service.client()
    assert anybody.get("/checkpoint").status_code == 200
    assert anybody.get("/tile/entries/000.p/3").headers["cache-control"].startswith("public")
    problem(anybody.get("/v1/entries/2/proof"), 401, "unauthenticated")
    problem(anybody.post("/v1/verify", content=CT), 401, "unauthenticated")


def test_bodies_and_rates_have_limits(serve: Callable[..., Service]) -> None:
    service = serve(max_body=100_000, rate=0.001, burst=6)
    client = service.client(Role.VERIFIER)

    def chunks() -> object:
        yield from [b"x" * 10_000] * 20

    for content in (b"x" * 100_001, chunks()):
        problem(client.post("/v1/verify", content=content), 413, "too-large")  # type: ignore[arg-type]
    long = json.dumps({"entry": "A" * 200_000}).encode()
    kind = {"content-type": "application/json"}
    problem(service.client(Role.DEVICE).post("/v1/entries", content=iter([long]), headers=kind), 413, "too-large")
    assert client.post("/v1/verify", content=CT).status_code == 200
    answers = [client.get("/checkpoint") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    problem(refused[0], 429, "too-many-requests")
    assert int(refused[0].headers["retry-after"]) > 1
    assert service.client(Role.AUDITOR).get("/checkpoint").status_code == 200  # another caller has a bucket of its own


def test_a_bucket_fills_at_its_rate_and_no_further() -> None:
    now = [0.0]
    limit = RateLimit(2, 4, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(4)] == [0] * 4
    assert limit.take("a") == pytest.approx(0.5)
    now[0] += 0.5
    assert limit.take("a") == 0
    assert limit.take("b") == 0
    now[0] += 1000
    assert [limit.take("a") == 0 for _ in range(5)] == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"host": "0.0.0.0"}, "in the open"),
        ({"host": "hospital.example"}, "in the open"),
        ({"certificate": "a.pem"}, "both certificate and key"),
        ({"client_authorities": "a.pem"}, "need TLS"),
        ({"client_certificates": "required"}, "client_authorities"),
        ({"port": 70000}, "port"),
        ({"audit_syslog": "http://x:1"}, "audit_syslog"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_settings_that_would_expose_or_mislead_are_refused(
    values: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=message) as error:
        load_settings(path)
    assert str(path) in str(error.value)
    assert load_settings(None, host="0.0.0.0", behind_proxy=True).behind_proxy
    assert load_settings(None, host="::1").host == "::1"


def test_audit_files_are_for_their_owner(service: Service) -> None:
    assert stat.S_IMODE(service.audit.stat().st_mode) == 0o600
