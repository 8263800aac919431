"""Audit events as DICOM PS3.15 A.5 messages (XML) and as FHIR R4 AuditEvent resources (JSON)."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_address
from typing import Any
from xml.etree import ElementTree as ET

from mithridate.ledger.service.audit_event import DCM, AuditEvent, Code, Kind, Outcome

_FHIR_SYSTEMS = {DCM: "http://dicom.nema.org/resources/ontology/DCM"}
_REQUESTOR, _SERVICE = Code("110153", "Source Role ID"), Code("110152", "Destination Role ID")
_APPLICATION = Code("110150", "Application")
_ENTRY = Code("entry", "Log entry index", "mithridate")
_SERVER = "4"  # audit source type: application server process
_SYSTEM_OBJECT, _REPORT_ROLE = "2", "3"  # participant object type and role
_INVALID_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")


def to_dicom(event: AuditEvent) -> str:
    """The event as one AuditMessage, on one line (PS3.15 A.5.1)."""
    root = ET.Element("AuditMessage")
    identification = ET.SubElement(
        root,
        "EventIdentification",
        EventActionCode=event.kind.action,
        EventDateTime=event.time.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=event.outcome.value,
    )
    _coded(identification, "EventID", event.kind.event)
    if event.kind.event_type is not None:
        _coded(identification, "EventTypeCode", event.kind.event_type)
    if event.detail:
        ET.SubElement(identification, "EventOutcomeDescription").text = _clean(event.detail)
    is_own = event.kind in (Kind.START, Kind.STOP)
    if not is_own:
        caller = {"UserID": _clean(event.user), "UserIsRequestor": "true"}
        if event.address is not None:
            caller |= {"NetworkAccessPointID": event.address, "NetworkAccessPointTypeCode": _point(event.address)}
        _coded(ET.SubElement(root, "ActiveParticipant", caller), "RoleIDCode", _REQUESTOR)
    service = ET.SubElement(root, "ActiveParticipant", UserID=_clean(event.source), UserIsRequestor="false")
    _coded(service, "RoleIDCode", _APPLICATION if is_own else _SERVICE)
    source = ET.SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(event.source))
    _coded(source, "AuditSourceTypeCode", Code(_SERVER, "Application Server Process", DCM))
    if event.entry is not None:
        entry = ET.SubElement(
            root,
            "ParticipantObjectIdentification",
            ParticipantObjectID=str(event.entry),
            ParticipantObjectTypeCode=_SYSTEM_OBJECT,
            ParticipantObjectTypeCodeRole=_REPORT_ROLE,
        )
        _coded(entry, "ParticipantObjectIDTypeCode", _ENTRY)
        value = base64.b64encode(event.kind.name.encode()).decode()
        ET.SubElement(entry, "ParticipantObjectDetail", type="operation", value=value)
    return ET.tostring(root, encoding="unicode")


def to_fhir(event: AuditEvent) -> str:
    """The event as one AuditEvent resource of FHIR R4, on one line."""
    caller: dict[str, Any] = {"type": _concept(_REQUESTOR), "who": {"display": event.user}, "requestor": True}
    if event.address is not None:
        caller["network"] = {"address": event.address, "type": _point(event.address)}
    is_own = event.kind in (Kind.START, Kind.STOP)
    service = {"type": _concept(_APPLICATION), "who": {"display": event.source}, "requestor": is_own}
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "type": _coding(event.kind.event),
        "action": event.kind.action,
        "recorded": event.time.isoformat(timespec="milliseconds"),
        "outcome": event.outcome.value,
        "agent": [service] if is_own else [caller, service],
        "source": {
            "observer": {"display": event.source},
            "type": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": _SERVER,
                    "display": "Application Server",
                }
            ],
        },
    }
    if event.kind.event_type is not None:
        resource["subtype"] = [_coding(event.kind.event_type)]
    if event.detail:
        resource["outcomeDesc"] = event.detail
    if event.entry is not None:
        resource["entity"] = [
            {
                "what": {"identifier": {"value": str(event.entry)}},
                "type": {
                    "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                    "code": _SYSTEM_OBJECT,
                    "display": "System Object",
                },
                "detail": [{"type": "operation", "valueString": event.kind.name}],
            }
        ]
    return json.dumps(resource, ensure_ascii=False, separators=(",", ":"))


def is_serious(event: AuditEvent) -> bool:
    """Whether somebody should look at it now."""
    return event.kind is Kind.DENIED or event.outcome is Outcome.SERIOUS_FAILURE


def _coded(parent: ET.Element, name: str, code: Code) -> None:
    attributes = {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.meaning}
    ET.SubElement(parent, name, attributes)


def _coding(code: Code) -> dict[str, str]:
    return {"system": _FHIR_SYSTEMS.get(code.system, code.system), "code": code.value, "display": code.meaning}


def _concept(code: Code) -> dict[str, Any]:
    return {"coding": [_coding(code)]}


def _point(address: str) -> str:
    """The kind of network access point: 2 for an IP address, 1 for a name."""
    try:
        ip_address(address)
    except ValueError:
        return "1"
    return "2"


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return text.translate(_INVALID_XML)
