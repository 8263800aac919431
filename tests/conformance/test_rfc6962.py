"""Outside vectors for RFC 6962 proofs: every one must be judged as its authors say."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from mithridate.ledger import merkle
from mithridate.ledger.errors import ProofError


def test_every_proof_vector_is_judged_rightly(shared_data: Path) -> None:
    files = sorted((shared_data / "vectors" / "rfc6962").rglob("*.json"))
    wrong = [str(path.relative_to(shared_data)) for path in files if _accepted(path) == _load(path)["wantErr"]]
    assert len(files) == 196
    assert wrong == []


def _accepted(path: Path) -> bool:
    vector = _load(path)
    proof = [_bytes(node) for node in vector["proof"] or []]
    try:
        if "leafIdx" in vector:
            leaf, root = _bytes(vector["leafHash"]), _bytes(vector["root"])
            merkle.verify_inclusion(vector["leafIdx"], vector["treeSize"], leaf, proof, root)
        else:
            roots = _bytes(vector["root1"]), _bytes(vector["root2"])
            merkle.verify_consistency(vector["size1"], vector["size2"], *roots, proof)
    except ProofError:
        return False
    return True


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "")
