"""Which examples are shown, and that what is said of them is what was kept of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mithridate.report.films import reel
from mithridate.report.panels import Album, gallery, triptych
from mithridate.report.study import Study, read_study


@pytest.fixture(scope="session")
def whole(run: Path) -> Study:
    return read_study(run)


def test_the_album_shows_the_fooled_first_each_class_by_id(whole: Study) -> None:
    for task in whole.tasks:
        album = Album(task)
        assert album.lead is not None
        assert album.lead.kind == "white-box"
        kept = task.pictures(album.lead)
        for label in (0, 1):
            shown = album.examples(label)
            assert sorted(shown) == sorted(i for i, y in zip(kept.ids, kept.labels, strict=True) if y == label)
            fooled = [album.fooled(example) for example in shown]
            assert fooled == sorted(fooled, reverse=True)
            assert [e for e in shown if album.fooled(e)] == sorted(e for e in shown if album.fooled(e))


def test_shots_carry_the_kept_pixels_and_probabilities(whole: Study) -> None:
    for task in whole.tasks:
        shown = gallery(task, ("clean", "noise", "rotation", "black-box", "white-box"), 2)
        assert shown is not None
        assert shown.roles == ("Untouched", "Random noise", "Rotation", "Black box", "White box")
        assert [strip.label for strip in shown.strips] == [0, 0, 1, 1]
        for strip in shown.strips:
            for shot in strip.shots:
                assert shot is not None
                assert shot.condition is not None
                kept = task.pictures(shot.condition)
                row = kept.ids.index(shot.example)
                assert np.array_equal(shot.image, kept.candidate[row])
                assert shot.probability == kept.probability[row]
                assert shot.right == ((kept.probability[row] > 0.5) == (kept.labels[row] == 1))


def test_figure_1_is_a_fooled_benign_lesion_of_the_skin(whole: Study) -> None:
    shown = triptych(whole.attacked)
    assert shown is not None
    assert shown.clean.task.name == "skin"
    assert (shown.clean.truth, shown.attacked.answer) == ("nevus", "melanoma")
    assert (shown.clean.right, shown.attacked.right) == (True, False)
    middle = 0.5 + shown.change.factor * (shown.attacked.image - shown.clean.image)
    assert np.allclose(shown.change.image, np.clip(middle, 0, 1), atol=1e-6)


def test_a_film_begins_untouched_and_grows(whole: Study) -> None:
    for task in whole.tasks:
        shown = reel(task, 2)
        assert shown is not None
        assert shown.sweep == "White box, PGD"
        assert shown.ticks == ("0", "0.128", "0.255", "0.51", "1.28", "2.55", "5.1")
        assert len({film.truth for film in shown.films}) == 2
        for film in shown.films:
            assert (film.frames[0].change.image == 0.5).all()
            spread = [float(np.abs(f.change.image - 0.5).max()) for f in film.frames]
            assert spread == sorted(spread)
            assert spread[-1] <= 0.5
            assert len({f.change.factor for f in film.frames}) == 1
            for frame in film.frames[1:]:
                assert frame.shot.condition is not None
                assert frame.shot.example == film.example


def test_one_film_alone_is_of_the_negative_class(whole: Study) -> None:
    shown = reel(whole.tasks[0], 1)
    assert shown is not None
    assert [film.truth for film in shown.films] == ["no referable retinopathy"]
