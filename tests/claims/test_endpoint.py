"""Models behind a function or an address, with scores or labels, and what they may answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from claims.attacks import cohort
from mithridate.claims.attacks.oracle import Decisions
from mithridate.claims.attacks.searches import Greedy
from mithridate.claims.endpoint import CallableDecider, CallableScorer, HttpModel
from mithridate.errors import MithridateError, UserError


class Payer(BaseHTTPRequestHandler):
    """Denies a claim with E43, and answers as its path asks."""

    def do_POST(self) -> None:
        claims = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["claims"]
        assert not any("documentation" in claim for claim in claims)
        bears = [any(item["code"].replace(".", "") == "E43" for item in claim.get("secondary", [])) for claim in claims]
        answers = {
            "/labels": {"denied": bears},
            "/scores": {"scores": [0.9 if item else 0.2 for item in bears]},
            "/short": {"denied": bears[1:]},
            "/words": {"scores": ["high"] * len(bears)},
        }
        body = json.dumps(answers[self.path]).encode() if self.path in answers else b"<html>"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Payer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_labels_and_scores_over_http(address: str) -> None:
    claims = cohort.claims()[:30]
    expected = ["E43" in [item.code for item in claim.billed.secondary] for claim in claims]
    assert HttpModel(f"{address}/labels").denies(claims).tolist() == expected
    assert HttpModel(f"{address}/scores").scorer(0.5).denies(claims).tolist() == expected
    assert any(expected)


def test_labels_over_http_are_enough_for_an_attack(address: str) -> None:
    claim = next(c for c in cohort.claims() if "E43" in [item.code for item in c.billed.secondary])
    oracle = Decisions(HttpModel(f"{address}/labels"), cohort.shared_terms(), 1)
    (after,) = Greedy().run(oracle, [cohort.space(claim, 1)], np.random.default_rng(0))
    assert "E43" not in after.codes
    assert oracle.queries[0] > 1


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("short", UserError, "one finite number a claim"),
        ("scores", UserError, "not with 'denied'"),
        ("page", MithridateError, "did not answer with JSON"),
    ],
)
def test_bad_answers_are_named(address: str, path: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        HttpModel(f"{address}/{path}").denies(cohort.claims()[:3])


def test_other_mistakes(address: str) -> None:
    with pytest.raises(UserError, match="other than numbers"):
        HttpModel(f"{address}/words").scorer(0.5).score(cohort.claims()[:2])
    with pytest.raises(UserError, match="no HTTP address"):
        HttpModel("file:///etc/hosts")
    with pytest.raises(UserError, match="finite"):
        CallableScorer(lambda claims: [np.nan] * len(claims), 0.5).denies(cohort.claims()[:2])
    assert CallableDecider(lambda claims: [True, False]).denies(cohort.claims()[:2]).tolist() == [True, False]
