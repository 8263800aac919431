"""The page: well-formed, self-contained, honest about what is missing, and safe against what users call things."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.report import html as page_module
from mithridate.report.html import write_report
from report.made import condition, results, task_result
from report.page import Node, parse
from report.runs import build, write


@pytest.fixture(scope="session")
def text(run: Path) -> str:
    return (run / "report.html").read_text()


@pytest.fixture(scope="session")
def page(text: str) -> Node:
    return parse(text)


def reported(folder: Path, *tasks: object, **more: object) -> Node:
    """The page of results without pictures."""
    write(folder, results(tasks, **more))  # type: ignore[arg-type]
    return parse(write_report(folder).read_text())


def test_ids_are_unique_and_every_reference_has_its_target(page: Node) -> None:
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for node in page.walk():
        for name in ("aria-labelledby", "for"):
            assert set(node.attributes.get(name, "").split()) <= set(ids)
        if node.tag == "a":
            assert node.attributes["href"].removeprefix("#") in ids


def test_nothing_is_fetched(page: Node, text: str) -> None:
    for node in page.walk():
        for name in ("src", "href", "data", "poster", "srcset", "action"):
            value = node.attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    style = "".join(node.text for node in page.find("style"))
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"data:[^\"]+", "", text).replace("// Without", ""))


def test_the_policy_allows_the_one_script_and_no_other_source(page: Node) -> None:
    (policy,) = (n.attributes["content"] for n in page.find("meta", http_equiv="Content-Security-Policy"))
    (script,) = page.find("script")
    code = "".join(script.parts)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not any(name.startswith("on") for node in page.walk() for name in node.attributes)


def test_a_reader_without_eyes_finds_the_way(page: Node) -> None:
    assert page.find("html")[0].attributes["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.find(landmark)) == 1
    levels = [int(node.tag[1]) for node in page.walk() if re.fullmatch(r"h[1-6]", node.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    for image in page.find("img"):
        assert len(image.attributes["alt"]) > 10
    for table in page.find("table"):
        assert table.find("caption")[0].text
        assert all(th.attributes["scope"] in ("col", "row", "rowgroup") for th in table.find("th"))
    labels = {label.attributes["for"] for label in page.find("label")}
    assert {field.attributes["id"] for field in page.find("input")} <= labels
    for svg in page.find("svg", role="img"):
        assert "accuracy goes from" in svg.find("desc")[0].text


def test_the_verdict_comes_first_and_the_sections_are_in_order(page: Node) -> None:
    ids = [section.attributes["id"] for section in page.find("main")[0].find("section")]
    assert ids == ["verdict", "clean", "attacks", "pictures", "doses", "methods", "glossary", "appendix"]


def test_every_frame_says_in_words_what_its_color_says(page: Node) -> None:
    frames = [n for n in page.walk() if {"shot", "frame"} & set(n.attributes.get("class", "").split())]
    judged = [n for n in frames if {"right", "wrong"} & set(n.attributes["class"].split())]
    assert len(judged) > 50
    for node in judged:
        word = "right" if "right" in node.attributes["class"].split() else "wrong"
        assert node.text.endswith(word)
        assert f"the answer is {word}" in node.find("img")[0].attributes["alt"]


def test_owner_authority_date_and_fingerprint_are_stated(page: Node) -> None:
    header = page.find("header")[0].text
    for words in (
        "the mithridate project",
        "22 November 2025, 00:47 UTC",
        "For audit and defense only",
        "attacked by anyone",
    ):
        assert words in header
    methods = page.find("section", id="methods")[0].text
    for words in ("3f1c0a9b5d7e42f18899aabbccddeeff", "paper-code: 0.01", "20180415", "torch 2.13.0", "Wilson 95%"):
        assert words in methods


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $x_1$ {{ 7 * 7 }}"
    sweep = [
        condition("white-box", 50, 5, size=s, cell=f"w{s}", sweep=bad, label=bad, attack=bad) for s in (0.01, 0.02)
    ]
    task = task_result(
        [condition("clean", 50, 45), *sweep],
        task=bad, modality=bad, positive=bad, negative=bad, data={bad: bad}, victim={bad: bad},
    )  # fmt: skip
    page = reported(tmp_path, task, name=bad, authority={"owner": bad, "authorized_by": bad, "statement": bad})
    assert len(page.find("script")) == 1
    assert not page.find("img")
    assert page.find("h1")[0].text == " ".join(bad.split())
    assert "49" not in page.find("h1")[0].text
    assert (tmp_path / "figures" / "dose-response.png").is_file()


def test_a_refused_task_is_said_to_be_refused_instead_of_figures(tmp_path: Path) -> None:
    reason = "not attacked: its clean AUC is 0.501 and the 95% interval 0.420 to 0.580 includes 0.5"
    fine = task_result(
        [condition("clean", 50, 45), condition("white-box", 50, 0, was_right=45, fooled=45)], task="good"
    )
    page = reported(tmp_path, task_result([condition("clean", 50, 25)], task="bad", refused=reason), fine)
    card = page.find("article")[0]
    assert "Not attacked" in card.text
    assert "includes 0.5" in card.text
    assert not card.find("ul", class_="glance")
    row = next(r for r in page.find("table", id="table-2")[0].find("tr") if "Not attacked" in r.text)
    assert "includes 0.5" in row.text


def test_a_stopped_run_says_what_is_missing(tmp_path: Path) -> None:
    clean, white, noise = condition("clean", 50, 45), condition("white-box", 50, 0), condition("noise", 50, 44)
    tasks = (task_result([clean, white, noise], task="whole"), task_result([clean, noise], task="part"))
    (tmp_path / "manifest.json").write_text('{"tasks": [{"name": "whole"}, {"name": "part"}, {"name": "absent"}]}')
    page = reported(tmp_path, *tasks, complete=False)
    notice = page.find("section", id="verdict")[0].find("div", class_="notice")[0].text
    assert "stopped before its end" in notice
    assert "Part: White box, PGD" in notice
    assert "Absent: nothing was measured" in notice
    assert "Whole" not in notice
    assert "stopped" not in reported(tmp_path / "b", *tasks).text


def test_a_run_with_nothing_but_names_still_makes_a_page(tmp_path: Path) -> None:
    page = reported(tmp_path, task_result([], task="empty"))
    assert "not measured" in page.find("section", id="verdict")[0].text.lower()
    assert "kept no pictures" in page.text
    assert reported(tmp_path / "none").find("h1")


def test_phantoms_are_announced_in_the_verdict(page: Node, tmp_path: Path) -> None:
    assert "drawn by a program" in page.find("section", id="verdict")[0].text
    real = reported(tmp_path, task_result([condition("clean", 50, 45)]), synthetic=False)
    assert "drawn by a program" not in real.find("section", id="verdict")[0].text


def test_one_custom_task_with_pictures(tmp_path: Path) -> None:
    page = parse(write_report(build(tmp_path, ["histology"], n=40, kept=1)).read_text())
    assert "Published" not in page.find("section", id="clean")[0].text
    assert page.find("figure", id="figure-1")
    assert page.find("input", type="range")


def test_a_page_that_grows_too_large_shows_fewer_pictures(
    run: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert len(text.encode()) <= page_module.LARGEST
    monkeypatch.setattr(page_module, "LARGEST", len(text.encode()) - 1)
    smaller = page_module.render(page_module.read_study(run))
    assert len(smaller.encode()) < len(text.encode())
    assert parse(smaller).find("figure", id="figure-2")


def test_the_page_lands_where_it_is_asked_to(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "run", results([task_result([condition("clean", 50, 45)])]))
    page = write_report(tmp_path / "run", tmp_path / "filed" / "audit.html")
    assert page == tmp_path / "filed" / "audit.html"
    assert page.is_file()
    assert (tmp_path / "filed" / "tables" / "table1.csv").is_file()
    assert not (tmp_path / "run" / "report.html").exists()
    assert write_report(tmp_path / "run", tmp_path / "filed") == tmp_path / "filed" / "report.html"


def test_what_is_no_run_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no results\.json"):
        write_report(tmp_path)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    folder = build(tmp_path, ["histology"], n=20, kept=1)
    broken = folder / "pictures" / "histology" / "white-box" / "0.01" / "shard.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(UserError, match=r"pictures/histology/white-box/0\.01 cannot be read"):
        write_report(folder)
    assert not (folder / "report.html").exists()
