"""Tests that offices order, and how a panel is split into its parts to be paid more."""

from __future__ import annotations

import numpy as np

PANELS = {
    "80053": ("82565", "84520", "82947", "84132", "84295"),
    "80048": ("82565", "84520", "82947", "84132"),
}
"""Panels and the tests that they include (of the teaching fixture)."""

_PARTS = ("82565", "84520", "82947", "84132", "84295")
_SEVERAL = 0.45
"""How often an honest office that orders single chemistry tests orders each of them."""

_INJECTION, _DRAW = "96372", "36415"


def ordered_tests(rng: np.random.Generator) -> list[str]:
    """Tests of one visit: a panel or single chemistry tests, a blood count, an electrocardiogram, an injection."""
    draw, found = rng.random(), []
    if draw < 0.24:
        found.append("80053")
    elif draw < 0.38:
        found.append("80048")
    elif draw < 0.60:
        found += [code for code in _PARTS if rng.random() < _SEVERAL] or ["82947"]
    blood = rng.random()
    if blood < 0.18:
        found.append("85025")
    elif blood < 0.30:
        found.append("85027")
    elif blood < 0.36:
        found.append("85018")
    heart = rng.random()
    if heart < 0.08:
        found.append("93000")
    elif heart < 0.12:
        found.append("93005")
    elif heart < 0.16:
        found.append("93010")
    if rng.random() < 0.07:
        found.append(_INJECTION)
    if any(code.startswith("8") for code in found):
        found.append(_DRAW)
    return found


def split_panels(rng: np.random.Generator, tests: list[str]) -> list[str]:
    """Every panel replaced by most or all of its tests, which pay more one by one; other tests stay."""
    found: list[str] = []
    for code in tests:
        parts = PANELS.get(code, (code,))
        kept = [part for part in parts if rng.random() < 0.85]
        found += kept if len(kept) > 2 else parts
    return found
