"""Side by side with ART's attacks and A2PM on the same LightGBM model: denied claims, at most three edits.

The peers live in a virtual environment of their own (they pin other versions) and work on rows of features; a row
counts as kept when some claim within the budget has just these columns, which a program over the edit space decides.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from claims_setting import COMMAND, Setting
from numpy.typing import NDArray
from record import Measurement

from mithridate.claims.attacks.encode import encode
from mithridate.claims.attacks.exact import ExactOptimum
from mithridate.claims.attacks.milp import Row, highest_worth
from mithridate.claims.attacks.oracle import Scores
from mithridate.claims.attacks.searches import Beam
from mithridate.claims.budget import CodeEdits, measure
from mithridate.claims.claim import Claim
from mithridate.claims.trees import Linear

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "adversarial-robustness-toolbox==1.20.1",
    "a2pm==1.2.0",
    "lightgbm==4.7.0",
    "numpy==1.26.4",
    "packaging==25.0",
    "scikit-learn==1.6.1",
)
BUDGET = CodeEdits(3)
NUMERIC = ("payment", "payment units", "payment over charges", "units", "minutes")


def peers(setting: Setting, cases: int, folder: Path) -> list[Measurement]:
    """Success, edits, violations and seconds of each contender on the same denied claims."""
    denied = [claim for claim in setting.tested if setting.detector.denies([claim])[0]][:cases]
    found = _ours(setting, denied)
    made = _theirs(setting, denied, _python(folder))
    original = setting.detector.features.transform(denied)
    for name in [key for key in made if not key.endswith(" seconds")]:
        found += _judged(setting, denied, original, name, made[name], float(made[f"{name} seconds"]))
    return found


def _ours(setting: Setting, denied: list[Claim]) -> list[Measurement]:
    detector, terms = setting.detector, setting.terms
    spaces = [setting.proposals.space(claim, BUDGET, terms) for claim in denied]
    started = time.perf_counter()
    after = Beam().run(Scores(detector, terms, len(denied)), spaces, np.random.default_rng(0))
    seconds = time.perf_counter() - started
    won = ~detector.denies(after)
    edits = [measure(a, b).edits for a, b, fine in zip(denied, after, won, strict=True) if fine]
    outside = [BUDGET.violation(a, b) > 0 or not terms.lawful(a, [b])[0] for a, b in zip(denied, after, strict=True)]
    started = time.perf_counter()
    proven = [ExactOptimum().solve(detector, terms, space).candidate or space.claim for space in spaces]
    proof = time.perf_counter() - started
    best = ~detector.denies(proven)
    used = [measure(a, b).edits for a, b, fine in zip(denied, proven, best, strict=True) if fine]
    beyond = [BUDGET.violation(a, b) > 0 or not terms.lawful(a, [b])[0] for a, b in zip(denied, proven, strict=True)]
    n, share, proved = len(denied), float(won.mean()), float(best.mean())
    return [
        *_figures(n, "beam", share, share, float(np.mean(edits)), float(np.mean(outside)), seconds),
        *_figures(n, "exact", proved, proved, float(np.mean(used)), float(np.mean(beyond)), proof),
    ]


def _figures(
    n: int, who: str, fooled: float, kept: float, edits: float | None, outside: float, seconds: float
) -> list[Measurement]:
    name, ours = f"claims, {n} denied claims, 3 edits, {who}", who in ("beam", "exact")
    found = [
        Measurement(f"{name}: the model approves", fooled, None, "", True, COMMAND),
        Measurement(f"{name}: approved within the budget", kept, None, "", True, COMMAND),
        Measurement(f"{name}: violations", float(outside), 0 if ours else None, "", False, COMMAND),
        Measurement(f"{name}: seconds a claim", seconds / n, None, "s", False, COMMAND),
    ]
    what = "edits of a success" if ours else "columns changed of a success"
    if edits is not None:
        found.append(Measurement(f"{name}: {what}", edits, None, "", False, COMMAND))
    return found


def _judged(
    setting: Setting, denied: list[Claim], original: NDArray[np.float64], name: str, rows: NDArray[np.float64], s: float
) -> list[Measurement]:
    rows = np.asarray(rows, dtype=float)
    fooled = setting.detector.exact.margin(rows) < setting.detector.ceiling
    moved = np.abs(rows - original) > 1e-6 * np.maximum(1.0, np.abs(original))  # beyond float32's rounding
    real = np.array([bearable(setting, claim, row) for claim, row in zip(denied, rows, strict=True)])
    changed = moved.any(1)
    columns = float(moved[fooled].sum(1).mean()) if fooled.any() else None
    outside = float((~real)[changed].mean()) if changed.any() else 0.0
    return _figures(len(denied), name, float(fooled.mean()), float((fooled & real).mean()), columns, outside, s)


def bearable(setting: Setting, claim: Claim, row: NDArray[np.float64]) -> bool:
    """Whether a claim within the budget has just these columns and is decided as the row is.

    Columns may differ by one in ten thousand of their size, since the peers compute in float32; the decision may not,
    since a change too small to be a code crosses thresholds that lie at zero.
    """
    made = encode(setting.proposals.space(claim, BUDGET, setting.terms), setting.terms, setting.detector.features)
    if made is None:
        return False
    (encoding, problem), rows = made, []
    for column in range(len(row)):
        effects, wanted = problem.effects[:, column], float(row[column] - problem.start[column])
        slack = 1e-4 * max(1.0, abs(float(row[column])))
        movers = np.flatnonzero(effects)
        if len(movers):
            rows.append(Row(tuple(movers.tolist()), tuple(effects[movers].tolist()), wanted - slack, wanted + slack))
        elif abs(wanted) > slack:
            return False
    blind = Linear(np.zeros(len(row)), 0.0)
    found = highest_worth(replace(problem, rows=(*problem.rows, *rows)), blind, ceiling=1.0)
    if found.status != "optimal":
        return False
    denied = bool(setting.detector.denies([encoding.space.apply(encoding.decode(found.chosen))])[0])
    return denied == bool(setting.detector.exact.margin(row)[0] >= setting.detector.ceiling)


def _python(folder: Path) -> Path:
    """The peers' Python, whose environment is made first if there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def _theirs(setting: Setting, denied: list[Claim], python: Path) -> dict[str, NDArray[np.float64]]:
    features = setting.detector.features
    train = features.transform([claim for claim, _ in setting.part("train")][:4000])
    names, parts = np.array(features.names), np.array(features.parts)
    given = {
        "x": features.transform(denied),
        "train": train,
        "ceiling": setting.detector.ceiling,
        "lower": train.min(0),
        "upper": train.max(0),
        "numeric": np.isin(names, NUMERIC),
        "combined": ~np.isin(names, NUMERIC) & (parts != "fixed"),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting.detector.model.booster_.save_model(folder / "model.txt")
        np.savez(folder / "given.npz", **given)  # type: ignore[arg-type]
        script = str(HERE / "claims_contenders.py")
        subprocess.run([str(python), script, name], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        return dict(np.load(folder / "made.npz"))
