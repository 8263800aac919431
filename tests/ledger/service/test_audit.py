"""Audit events: who asked for what, in the two forms that hospitals collect, delivered or reported as lost."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.gate.ledgers import CT, CT_INDEX, STATION, altered
from ledger.service.conftest import Service
from ledger.service.test_operations import fresh, problem
from mithridate.ledger.service.audit_event import AuditEvent, Kind, Outcome
from mithridate.ledger.service.audit_forms import to_dicom, to_fhir
from mithridate.ledger.service.audit_trail import AuditTrail, SyslogSink, open_trail
from mithridate.ledger.service.roles import Role

# PS3.15 table A.5.1: elements in order, required attributes, and which elements are coded values.
_ELEMENTS = ("EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification")
_REQUIRED = {
    "EventIdentification": {"EventDateTime", "EventOutcomeIndicator"},
    "ActiveParticipant": {"UserID", "UserIsRequestor"},
    "AuditSourceIdentification": {"AuditSourceID"},
    "ParticipantObjectIdentification": {"ParticipantObjectID"},
}
_CODED = {"EventID", "EventTypeCode", "RoleIDCode", "AuditSourceTypeCode", "ParticipantObjectIDTypeCode"}
_WHEN = datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

EVENTS = st.builds(
    AuditEvent,
    st.sampled_from(Kind),
    st.sampled_from(Outcome),
    st.just(_WHEN) | st.datetimes(datetime(1990, 1, 1), timezones=st.just(UTC)),
    st.text(min_size=1, max_size=20),
    st.none() | st.sampled_from(["127.0.0.1", "::1", "ct1.example"]),
    st.text(min_size=1, max_size=20),
    st.text(max_size=40),
    st.none() | st.integers(0, 2**63 - 1),
)


@settings(deadline=None)
@given(EVENTS)
def test_dicom_messages_have_the_standards_form(event: AuditEvent) -> None:
    try:
        text = to_dicom(event)
        text.encode()
    except UnicodeEncodeError:
        return  # lone surrogates, which no name that came over HTTP can hold
    root = ET.fromstring(text)
    assert root.tag == "AuditMessage"
    places = [_ELEMENTS.index(child.tag) for child in root]
    assert places == sorted(places)
    assert {0, 1, 2} <= set(places)
    for child in root:
        assert _REQUIRED[child.tag] <= set(child.attrib)
        for inner in child:
            if inner.tag in _CODED:
                assert {"csd-code", "codeSystemName", "originalText"} <= set(inner.attrib)
    identification = root[0]
    assert identification.attrib["EventOutcomeIndicator"] in {"0", "4", "8", "12"}
    assert identification.attrib["EventActionCode"] in set("CRUDE")
    assert datetime.fromisoformat(identification.attrib["EventDateTime"]).utcoffset() is not None
    for participant in root.iter("ActiveParticipant"):
        assert participant.attrib["UserIsRequestor"] in ("true", "false")
        assert participant.attrib.get("NetworkAccessPointTypeCode", "2") in ("1", "2")
    entries = [child.attrib["ParticipantObjectID"] for child in root.iter("ParticipantObjectIdentification")]
    assert entries == ([str(event.entry)] if event.entry is not None else [])


@settings(deadline=None)
@given(EVENTS)
def test_fhir_resources_have_what_r4_requires(event: AuditEvent) -> None:
    resource = json.loads(to_fhir(event))
    assert resource["resourceType"] == "AuditEvent"
    assert {"type", "recorded", "agent", "source"} <= set(resource)
    assert set(resource["type"]) >= {"system", "code"}
    assert resource["outcome"] in {"0", "4", "8", "12"}
    assert resource["action"] in set("CRUDE")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", resource["recorded"])
    assert resource["agent"]
    assert all(isinstance(agent["requestor"], bool) for agent in resource["agent"])
    assert sum(agent["requestor"] for agent in resource["agent"]) == 1
    assert resource["source"]["observer"]


def test_both_forms_say_the_same() -> None:
    event = AuditEvent(Kind.REVOCATION, Outcome.SUCCESS, _WHEN, "dr <who> & co", "127.0.0.1", "ledger", "done", 7)
    xml, fhir = ET.fromstring(to_dicom(event)), json.loads(to_fhir(event))
    identifier = xml.find("EventIdentification/EventID")
    assert identifier is not None
    assert identifier.attrib["csd-code"] == fhir["type"]["code"] == "110113"
    participant = xml.find("ActiveParticipant[@UserIsRequestor='true']")
    assert participant is not None
    assert participant.attrib["UserID"] == fhir["agent"][0]["who"]["display"] == "dr <who> & co"
    assert fhir["entity"][0]["what"]["identifier"]["value"] == "7"


def test_every_operation_leaves_an_event(service: Service) -> None:
    service.audit.write_text("")
    data = fresh()
    service.client(Role.DEVICE).post("/v1/images", params={"station": STATION}, content=data)
    service.client(Role.VERIFIER).post("/v1/verify", content=altered())
    service.client(Role.AUDITOR).get(f"/v1/entries/{CT_INDEX}/proof")
    service.client(Role.ADMIN).post("/v1/enrolments", json={"entry": ""})
    service.client(Role.DEVICE).get("/metrics")
    service.client(key="nonsense").get("/checkpoint")
    found = []
    for line in service.audit.read_text().splitlines():
        root = ET.fromstring(line)
        identification = root[0]
        user = root.find("ActiveParticipant[@UserIsRequestor='true']")
        assert user is not None
        found.append(
            (
                identification[0].attrib["csd-code"],
                identification.attrib["EventOutcomeIndicator"],
                user.attrib["UserID"],
            )
        )
    assert found == [
        ("110107", "0", "the device"),
        ("110112", "0", "the verifier"),
        ("110106", "0", "the auditor"),
        ("110113", "4", "the admin"),
        ("110113", "4", "the device"),
        ("110113", "4", "somebody"),
    ]


def test_start_and_stop_are_events_too(serve: Callable[..., Service]) -> None:
    service = serve(audit_format="fhir")
    first = json.loads(service.audit.read_text().splitlines()[0])
    assert first["subtype"][0]["code"] == "110120"


def test_an_event_that_is_lost_shows(serve: Callable[..., Service]) -> None:
    service = serve()

    class Full:
        def write(self, text: str, event: AuditEvent) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None: ...

    whole = service.context.trail._sinks
    service.context.trail._sinks = (Full(),)
    verifier = service.client(Role.VERIFIER)
    assert verifier.post("/v1/verify", content=CT).status_code == 200  # it is done, whether or not it is written down
    problem(service.client().get("/health/ready"), 503, "audit-lost")
    assert "mithridate_audit_failures 1.0" in service.client(Role.AUDITOR).get("/metrics").text
    service.context.trail._sinks = whole
    verifier.post("/v1/verify", content=CT)
    assert service.client().get("/health/ready").status_code == 200


_SYSLOG = re.compile(rb"<(\d+)>1 (\S+) (\S+) (\S+) (\d+) (\S+) - \xef\xbb\xbf(.*)", re.DOTALL)


def test_syslog_over_udp_is_rfc_5424() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        trail = open_trail("led ger", None, f"udp://127.0.0.1:{collector.getsockname()[1]}")
        trail.record(Kind.JUDGE, Outcome.SUCCESS, "viewer", None)
        trail.record(Kind.DENIED, Outcome.MINOR_FAILURE, "somebody", None, "no\nkey")
        first, second = (_SYSLOG.fullmatch(collector.recv(65536)) for _ in range(2))
        trail.close()
    assert first is not None
    assert second is not None
    assert (int(first[1]), int(second[1])) == (10 * 8 + 5, 10 * 8 + 4)
    assert first[2].endswith(b"Z")
    assert first[4] == b"ledger"
    assert ET.fromstring(first[7].decode()).tag == "AuditMessage"


def test_syslog_over_tcp_counts_octets_and_connects_again() -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def collect() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection, connection.makefile("rb") as stream:
                    length = b""
                    while (letter := stream.read(1)) != b" ":
                        length += letter
                    received.append(stream.read(int(length)))

        thread = threading.Thread(target=collect)
        thread.start()
        sink = SyslogSink("tcp", "127.0.0.1", server.getsockname()[1])
        trail = AuditTrail("ledger", (sink,))
        deadline = datetime.now(UTC) + timedelta(seconds=30)
        while len(received) < 2:  # what is sent into a connection that has just ended may be lost: that is TCP
            trail.record(Kind.JUDGE, Outcome.SUCCESS, "viewer", None)
            assert datetime.now(UTC) < deadline
        thread.join()
        trail.close()
    assert all(_SYSLOG.fullmatch(message) for message in received)


@pytest.mark.parametrize("kind", list(Kind))
def test_codes_are_the_dictionarys(kind: Kind) -> None:
    """Event IDs and types are those of PS3.16, under their own meanings."""
    from pydicom.sr.codedict import codes

    known = {code.value: code.meaning for code in (getattr(codes.DCM, name) for name in codes.DCM.dir())}
    for code in (kind.event, kind.event_type):
        if code is not None:
            assert known[code.value] == code.meaning
