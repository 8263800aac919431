"""The conventions of the tabular list: which codes exclude each other, which need another, which come after theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from mithridate.claims.codes import table_lines
from mithridate.claims.tables.prefixes import prefix_table

Span = tuple[str, str]
"""A code, or the first and last of a range of codes: each end holds for all codes below it too."""


def in_span(code: str, span: Span) -> bool:
    """Whether a code lies in a range: ("O10", "O11") holds O10.9 and O11.3."""
    low, high = span
    return low <= code[: len(low)] and code[: len(high)] <= high


def parse_spans(text: str) -> tuple[Span, ...]:
    """Ranges as the tables write them: "I50 O10-O11"."""
    return tuple((low, high or low) for low, _, high in (item.partition("-") for item in text.split()))


@lru_cache(maxsize=1_000_000)
def excluded_together(first: str, second: str) -> bool:
    """Whether an Excludes1 note at either code, or above it, names the other (ICD-10-CM convention I.A.12.a).

    A note that covers both codes says nothing about the two and does not count.
    """
    return _names(first, second) or _names(second, first)


@cache
def is_manifestation(code: str) -> bool:
    """Whether a code says how a disease shows itself that is coded elsewhere, and so never comes first."""
    return code in _manifestations()


@cache
def etiologies(code: str) -> tuple[Span, ...] | None:
    """The codes of which one must come before a manifestation; () when any may; None for other codes."""
    if not is_manifestation(code):
        return None
    for length in range(len(code), 2, -1):
        note = _code_first().get(code[:length])
        if note is not None:
            return note
    return ()


@cache
def stands_alone(code: str) -> bool:
    """Whether no convention asks for another code beside this one."""
    return not is_manifestation(code) and not needed_with(code)


@cache
def needed_with(code: str) -> tuple[tuple[tuple[Span, ...], bool], ...]:
    """What else must be coded with a code: (one of these, whether it must come before) for each need."""
    return tuple(need for prefix, need in _needs() if code.startswith(prefix))


def combination_due(codes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Essential hypertension with heart failure or chronic kidney disease: presumed related, one code of I11-I13."""
    if "I10" in codes:
        yield from (("I10", code) for code in codes if code.startswith(("I50", "N18")))


def _names(holder: str, other: str) -> bool:
    notes = _excludes1()
    for length in range(3, len(holder) + 1):
        place = holder[:length]
        if place not in notes or other.startswith(place):
            continue
        if any(in_span(other, span) and not in_span(holder, span) for span in notes[place]):
            return True
    return False


@cache
def _excludes1() -> dict[str, tuple[Span, ...]]:
    return {code: parse_spans(text) for code, kind, _, text in table_lines("notes.csv.gz") if kind == "excludes1"}


@cache
def _code_first() -> dict[str, tuple[Span, ...]]:
    """Closed lists of etiologies; () where the note only gives examples."""
    rows = (row for row in table_lines("notes.csv.gz") if row[1] == "code-first")
    return {code: () if loose else parse_spans(text) for code, _, loose, text in rows}


@cache
def _manifestations() -> frozenset[str]:
    return frozenset(code for code, _, _, mark in table_lines("icd10cm.csv.gz") if mark)


@cache
def _needs() -> tuple[tuple[str, tuple[tuple[Span, ...], bool]], ...]:
    rows = prefix_table("sequence.csv").items()
    return tuple((prefix.split("/")[0], (parse_spans(needs), where == "before")) for prefix, (needs, where) in rows)
