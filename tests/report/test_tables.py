"""Every figure of the tables, read back from the page and from the CSV files, is the one in results.json."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mithridate.audit.results import Condition, Estimate, Results
from mithridate.report.html import write_report
from report.made import condition, results, task_result
from report.page import Node, parse
from report.runs import write


@pytest.fixture(scope="session")
def found(run: Path) -> Results:
    return Results.model_validate_json((run / "results.json").read_text())


@pytest.fixture(scope="session")
def page(run: Path) -> Node:
    return parse((run / "report.html").read_text())


def number(text: str) -> float:
    return float(text.strip("<>%"))


def check(cell: Node, estimate: Estimate, scale: float, tolerance: float) -> None:
    """The figure and its interval as printed, against the estimate."""
    if estimate.value is None:
        assert cell.text == "–"
        return
    assert number(cell.own) == pytest.approx(estimate.value * scale, abs=0.11 if cell.own[0] in "<>" else tolerance)
    if estimate.low is None or estimate.high is None:
        assert not cell.find("small")
        return
    low, high = cell.find("small")[0].text.split("–")
    assert float(low) == pytest.approx(estimate.low * scale, abs=tolerance)
    assert float(high) == pytest.approx(estimate.high * scale, abs=tolerance)


def rows(page: Node, table: str) -> dict[str, list[Node]]:
    """Cells by condition."""
    (found,) = page.find("table", id=table)
    return {r.attributes["data-cell"]: r.find("td") for r in found.find("tr") if "data-cell" in r.attributes}


def test_table_1(page: Node, found: Results) -> None:
    cells = rows(page, "table-1")
    assert len(cells) == len(found.tasks)
    for task in found.tasks:
        clean = next(c for c in task.conditions if c.kind == "clean")
        n, accuracy, majority, auc, sensitivity, specificity = cells[clean.cell]
        assert int(n.own.replace(",", "")) == clean.n
        assert number(majority.own) == pytest.approx(task.majority_accuracy * 100, abs=0.051)
        check(accuracy, clean.accuracy, 100, 0.051)
        check(auc, clean.auc, 1, 0.00051)
        check(sensitivity, clean.sensitivity, 100, 0.051)
        check(specificity, clean.specificity, 100, 0.051)


def test_table_1_shows_the_published_values_as_other_data(page: Node) -> None:
    (table,) = page.find("table", id="table-1")
    published = list(table.find("tr", class_="outside"))
    figures = [[td.own for td in r.find("td")][1:] for r in published]
    assert figures == [
        ["91%", "81.9%", "0.91", "85%", "80%"],
        ["95%", "91.7%", "0.94", "90%", "82%"],
        ["88%", "74.7%", "0.86", "80%", "73%"],
    ]
    assert all("other data" in r.find("th")[0].text for r in published)


def test_table_2(page: Node, found: Results) -> None:
    cells = rows(page, "table-2")
    mains = [c for task in found.tasks for c in task.conditions if c.main]
    assert set(cells) == {c.cell for c in mains}
    for c in mains:
        accuracy, auc, confidence, success, stored, ssim, psnr = cells[c.cell]
        check(accuracy, c.accuracy, 100, 0.051)
        check(auc, c.auc, 1, 0.00051)
        check(confidence, c.confidence, 100, 0.051)
        check(success, c.attack_success_rate, 100, 0.051)
        check(stored, c.stored_success_rate, 100, 0.051)
        check(ssim, c.ssim, 1, 0.00051)
        check(psnr, c.psnr, 1, 0.051)


def test_table_2_quotes_of_the_paper_only_the_clean_skin_figures(page: Node) -> None:
    (row,) = page.find("table", id="table-2")[0].find("tr", class_="outside")
    assert [td.own for td in row.find("td")] == ["87.6%", "0.858", "94.1%", "–", "–", "–", "–"]


def test_the_dose_tables_hold_every_dose(page: Node, found: Results) -> None:
    for number_, task in enumerate(found.tasks, 1):
        (table,) = page.find("table", id=f"chart-{number_}-table")
        swept = [c for c in task.conditions if c.sweep is not None]
        cells = {r.attributes["data-cell"]: r.find("td") for r in table.find("tr") if "data-cell" in r.attributes}
        assert {c.cell for c in swept} < set(cells)
        for c in swept:
            check(cells[c.cell][0], c.accuracy, 100, 0.051)
            check(cells[c.cell][1], c.auc, 1, 0.00051)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same(row: dict[str, str], c: Condition, names: tuple[str, ...]) -> None:
    for name in names:
        e = getattr(c, name)
        for key, value in ((name, e.value), (f"{name}_low", e.low), (f"{name}_high", e.high)):
            assert row[key] == ("" if value is None else repr(value)), key


def test_the_csv_files_hold_every_digit(run: Path, found: Results) -> None:
    table = {row["cell"]: row for row in read(run / "tables" / "conditions.csv")}
    conditions = [c for task in found.tasks for c in task.conditions]
    assert set(table) == {c.cell for c in conditions}
    for c in conditions:
        same(table[c.cell], c, ("accuracy", "auc", "sensitivity", "specificity", "confidence", "attack_success_rate"))
        same(table[c.cell], c, ("stored_success_rate", "ssim", "psnr"))
        assert (float(table[c.cell]["size"]), int(table[c.cell]["n"])) == (c.size, c.n)
    main = {row["cell"] for row in read(run / "tables" / "table2.csv") if row["source"] == "this run"}
    assert main == {c.cell for c in conditions if c.main}
    own = [row for row in read(run / "tables" / "table1.csv") if row["source"] == "this run"]
    for row, task in zip(own, found.tasks, strict=True):
        clean = next(c for c in task.conditions if c.kind == "clean")
        same(row, clean, ("accuracy", "auc", "sensitivity", "specificity"))


def test_a_spreadsheet_runs_nothing_that_a_name_holds(tmp_path: Path) -> None:
    bad = '=HYPERLINK("x")'
    write(tmp_path, results([task_result([condition("clean", 50, 45, label=bad)], task=bad)]))
    write_report(tmp_path)
    for name in ("table1.csv", "table2.csv", "conditions.csv"):
        for row in read(tmp_path / "tables" / name):
            assert not any(str(value).startswith(("=", "+", "@")) for value in row.values())


def test_a_void_condition_shows_its_violation_and_no_figures(tmp_path: Path) -> None:
    void = condition("white-box", 50, 0, was_right=45, fooled=45, violation=0.25)
    write(tmp_path, results([task_result([condition("clean", 50, 45), void])]))
    page = parse(write_report(tmp_path).read_text())
    (cell,) = rows(page, "table-2")[void.cell]
    assert "left its budget by 0.25" in cell.text
    assert "%" not in cell.text
