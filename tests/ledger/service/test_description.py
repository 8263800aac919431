"""The OpenAPI description: complete, and kept by the service whatever Schemathesis sends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from ledger.service.conftest import Service
from mithridate.ledger.service.roles import Role

_METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def described(service: Service) -> Iterator[Service]:
    service.audit.write_text("")
    yield service
    assert service.ledger.fsck().is_clean  # whatever was sent, the log still holds


def test_every_operation_keeps_its_description(described: Service) -> None:
    api = schemathesis.openapi.from_url(f"{described.address}/openapi.json").exclude(path_regex="^/dicom-web")
    operations = [found.ok() for found in api.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:

        @settings(
            max_examples=5,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy())
        def keeps(case: schemathesis.Case) -> None:
            case.call_and_validate(
                headers={"authorization": f"Bearer {described.keys[Role.ADMIN]}"},
                # A record may have the described form and be no record all the same: signatures are not in a schema.
                # The header given here also goes with the requests that are meant to lack it: see test_access.
                excluded_checks=[positive_data_acceptance, ignored_auth],
            )

        keeps()


def test_every_operation_declares_its_errors_and_who_may_use_it(service: Service) -> None:
    document = service.client().get("/openapi.json").json()
    operations = {
        (path, method): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS and not path.startswith("/dicom-web")
    }
    assert {path for path, _ in operations} >= {
        "/v1/entries",
        "/v1/images",
        "/v1/enrolments",
        "/v1/revocations",
        "/v1/verify",
        "/v1/verify/fingerprint",
        "/v1/entries/{index}/proof",
        "/v1/receipts/check",
        "/checkpoint",
        "/tile/{path}",
        "/health/live",
        "/health/ready",
        "/metrics",
    }
    for (path, _), operation in operations.items():
        errors = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
        assert {"400", "413", "429", "500"} <= set(errors), path
        for status, answer in errors.items():
            (media,) = answer["content"]
            assert media == "application/problem+json", (path, status)
            assert answer["content"][media]["schema"] == {"$ref": "#/components/schemas/Problem"}
        is_open = path.startswith("/health")
        assert bool(operation.get("security")) is not is_open, path
        assert ("401" in errors) is not is_open, path
        assert operation["summary"]
    assert document["components"]["schemas"]["Problem"]["required"] == ["title", "status", "detail", "code"]
