from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imaging.sources.tables import images, write
from mithridate.errors import UserError
from mithridate.imaging.catalog import Catalog
from mithridate.imaging.labels import LabelRule
from mithridate.imaging.sources import SOURCES, Request, build_catalog
from mithridate.imaging.sources.phantom import phantom_catalog
from mithridate.imaging.sources.real import real_catalogs
from mithridate.imaging.tasks import TASKS, Fractions


def labels(catalog: Catalog) -> dict[str, int]:
    return dict(zip(catalog.table["id"], catalog.table["label"].tolist(), strict=True))


def groups(catalog: Catalog) -> dict[str, str]:
    return dict(zip(catalog.table["id"], catalog.table["group"], strict=True))


def test_unknown_sources_and_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no source 'nih': name one of {', '.join(SOURCES)}"):
        build_catalog("nih", Request())
    with pytest.raises(UserError, match="needs the folder of its images"):
        build_catalog("isic", Request())
    with pytest.raises(UserError, match="there is no folder"):
        build_catalog("isic", Request(root=tmp_path / "none"))
    with pytest.raises(UserError, match="holds no CSV file: name the label table"):
        build_catalog("isic", Request(root=tmp_path))


# --- Kaggle diabetic retinopathy


def kaggle(folder: Path) -> Path:
    eyes = [f"{i}_{side}" for i in range(24) for side in ("left", "right")]
    grade = {eye: (i // 2) % 5 for i, eye in enumerate(eyes)}
    write(folder / "trainLabels.csv", "image,level", *(f"{e},{grade[e]}" for e in eyes[:30]))
    write(folder / "retinopathy_solution.csv", "image,level,Usage", *(f"{e},{grade[e]},Public" for e in eyes[30:]))
    return images(folder, [f"{'train' if i < 30 else 'test'}/{e}.jpeg" for i, e in enumerate(eyes)])


def test_kaggle_merges_both_tables_and_splits_by_patient(tmp_path: Path) -> None:
    catalog = build_catalog("kaggle-dr", Request(root=kaggle(tmp_path)))
    assert len(catalog) == 48
    assert labels(catalog)["2_left"] == 1  # grade 2
    assert labels(catalog)["1_right"] == 0  # grade 1
    assert groups(catalog)["7_left"] == groups(catalog)["7_right"] == "7"
    assert catalog.table.set_index("id").loc["23_right", "path"] == "test/23_right.jpeg"
    assert set(catalog.table["table"]) == {"trainLabels.csv", "retinopathy_solution.csv"}
    assert catalog.task.is_paper


def test_kaggle_names_its_mistakes(tmp_path: Path) -> None:
    root = kaggle(tmp_path)
    first = write(tmp_path / "a.csv", "image,level", "1_left,0", "1_right,five")
    with pytest.raises(UserError, match=r"a\.csv has 'five' in column 'level' on line 3"):
        build_catalog("kaggle-dr", Request(root=root, metadata=(first,)))
    second = write(tmp_path / "b.csv", "image,level", "1_left,0", "left1,2")
    with pytest.raises(UserError, match=r"b\.csv has the image 'left1' on line 3: names like 123_left"):
        build_catalog("kaggle-dr", Request(root=root, metadata=(second,)))
    third = write(tmp_path / "c.csv", "image,level", "1_left,0")
    with pytest.raises(UserError, match="the image 1_left is in more than one of"):
        build_catalog("kaggle-dr", Request(metadata=(root / "trainLabels.csv", third)))


# --- ISIC and HAM10000


def test_isic_keeps_melanocytic_lesions_and_groups_by_patient_then_lesion(tmp_path: Path) -> None:
    rows = ["isic_id,lesion_id,patient_id,benign_malignant,melanocytic"]
    rows += [f"ISIC_{i},L{i},P{i // 2},{'malignant' if i % 4 < 2 else 'benign'},True" for i in range(40)]
    rows += ["ISIC_90,L0,,malignant,True"]  # a second image of lesion 0, whose patient another line knows
    rows += ["ISIC_91,L91,,benign,True", "ISIC_92,,,benign,True"]
    rows += ["ISIC_93,L93,P93,malignant,False", "ISIC_94,L94,P94,indeterminate,True"]
    table = write(tmp_path / "metadata.csv", *rows)
    names = [row.split(",")[0] for row in rows[1:]]
    catalog = build_catalog("isic", Request(root=images(tmp_path, [f"x/{n}.png" for n in names]), metadata=(table,)))
    assert not {"ISIC_93", "ISIC_94"} & set(labels(catalog))
    assert labels(catalog)["ISIC_0"] == 1
    assert labels(catalog)["ISIC_2"] == 0
    of = groups(catalog)
    assert of["ISIC_0"] == of["ISIC_1"] == of["ISIC_90"]
    assert len({of["ISIC_0"], of["ISIC_91"], of["ISIC_92"]}) == 3
    assert any("1 images of lesions that are not" in note for note in catalog.notes)
    assert any("1 images have neither patient nor lesion" in note for note in catalog.notes)


def test_ham10000_is_melanoma_against_naevi(tmp_path: Path) -> None:
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    rows += [f"HAM_{i // 2},ISIC_{i},{('mel', 'nv', 'bkl')[i // 2 % 3]},histo,50.0,male,back" for i in range(60)]
    images(tmp_path, [f"ISIC_{i}.jpg" for i in range(60)])
    table = write(tmp_path / "HAM10000_metadata.csv", *rows)
    catalog = build_catalog("isic", Request(root=tmp_path, metadata=(table,)))
    assert set(catalog.table["dx"][catalog.table["label"] == 1]) == {"mel"}
    assert set(catalog.table["dx"][catalog.table["label"] == 0]) == {"nv"}
    assert catalog.rule == "dx=mel"
    other = build_catalog("isic", Request(root=tmp_path, metadata=(table,), positive=LabelRule.parse("dx=bkl")))
    assert set(other.table["dx"][other.table["label"] == 1]) == {"bkl"}


def test_isic_archive_diagnosis_columns(tmp_path: Path) -> None:
    kinds = [
        ("Benign", "Benign melanocytic proliferations"),
        ("Malignant", "Malignant melanocytic proliferations (Melanoma)"),
    ]
    kinds += [("Malignant", "Malignant epidermal proliferations"), ("Benign", "Nonmelanocytic growth")]
    rows = [f"ISIC_{i},{kinds[i % 4][0]},{kinds[i % 4][1]}" for i in range(48)]
    table = write(tmp_path / "m.csv", "isic_id,diagnosis_1,diagnosis_2", *rows)
    images(tmp_path, [f"ISIC_{i}.jpg" for i in range(48)])
    found = labels(build_catalog("isic", Request(root=tmp_path, metadata=(table,))))
    assert found == {f"ISIC_{i}": int(i % 4 == 1) for i in range(48) if i % 4 < 2}


def test_isic_names_an_unknown_diagnosis(tmp_path: Path) -> None:
    table = write(tmp_path / "m.csv", "isic_id,benign_malignant", "ISIC_1,benign", "ISIC_2,maligant")
    with pytest.raises(UserError, match=r"m\.csv has 'maligant' in column 'benign_malignant' on line 3"):
        build_catalog("isic", Request(root=tmp_path, metadata=(table,)))


# --- a folder with a CSV table


def folder(root: Path, group: bool = True) -> Path:
    rows = [f"{i}.png,{i % 3},{f'p{i // 2}' if group else ''}" for i in range(60)]
    write(root / "labels.csv", "image,grade,patient" if group else "image,grade,empty", *rows)
    return images(root, [f"pictures/{i}.png" for i in range(60)])


def test_a_folder_and_a_table_make_a_catalog(tmp_path: Path) -> None:
    request = Request(root=folder(tmp_path), positive=LabelRule.parse("grade>=2"), positive_words="severe disease")
    catalog = build_catalog("folder-csv", request)
    assert labels(catalog) == {f"{i}.png": int(i % 3 >= 2) for i in range(60)}
    assert groups(catalog)["4.png"] == groups(catalog)["5.png"] == "p2"
    assert (catalog.task.name, catalog.task.positive, catalog.task.negative) == (
        "custom",
        "severe disease",
        "not severe disease",
    )
    assert set(catalog.table["path"]) == {f"pictures/{i}.png" for i in range(60)}


def test_a_table_without_groups_says_so(tmp_path: Path) -> None:
    catalog = build_catalog(
        "folder-csv", Request(root=folder(tmp_path, group=False), positive=LabelRule.parse("grade=2"))
    )
    assert catalog.table["group"].nunique() == 60
    assert any("each image is its own group" in note for note in catalog.notes)


def test_folder_csv_names_its_mistakes(tmp_path: Path) -> None:
    root = folder(tmp_path)

    def fails(words: str, **changes: object) -> None:
        with pytest.raises(UserError, match=words):
            build_catalog("folder-csv", Request(root=root, **changes))  # type: ignore[arg-type]

    fails("the labels 0, 1, 2 in column 'grade': say which are positive, for example with --positive 'grade=2'")
    fails("no column 'level'", positive=LabelRule.parse("level>=2"))
    fails("no column patient_id: its columns are", positive=LabelRule.parse("grade=2"), group_column="patient_id")
    fails("no image of the class 'grade>=9' under the rule 'grade>=9'", positive=LabelRule.parse("grade>=9"))
    fails("no image of the class 'not grade>=0'", positive=LabelRule.parse("grade>=0"))
    images(root, ["more/7.png"])
    fails("2 images that '7.png' could mean", positive=LabelRule.parse("grade=2"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x89PNG\x00\x00\n", "is not a text file"),
        (b"image,image\na,b\n", "two columns called 'image'"),
        (b'image,label\na,1\n"b,0\n', "cannot be read as a CSV table"),
        (b"image,label\n\xff\xfe,1\n", "cannot be read as a CSV table"),
        (b"image,label\na,1,x\n", "more cells than column names on line 2"),
        (b"image,label\na,1\n,0\n", "no value in column 'image' on line 3"),
        (b"image,label\na,1\nb,0\na,0\n", "names a on lines 2 and 4"),
    ],
)
def test_broken_tables_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"labels\.csv.*{words}"):
        build_catalog("folder-csv", Request(root=tmp_path))


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", "image,label", "a.png,1", "", "b.png,0", "c.png,", "d.png,1")
    with pytest.raises(UserError, match="no value in column 'label' on line 5"):
        build_catalog("folder-csv", Request(root=tmp_path, positive=LabelRule.parse("label=1")))


# --- MedMNIST


def medmnist(path: Path, classes: int = 2, **extra: np.ndarray) -> Path:
    sizes = {"train": 40, "val": 12, "test": 12}
    arrays = {f"{k}_images": np.zeros((n, 28, 28), np.uint8) for k, n in sizes.items()}
    arrays |= {f"{k}_labels": (np.arange(n) % classes)[:, None].astype(np.uint8) for k, n in sizes.items()}
    np.savez(path, **(arrays | extra))
    return path


def test_medmnist_keeps_the_parts_of_the_archive(tmp_path: Path) -> None:
    catalog = build_catalog("medmnist", Request(root=medmnist(tmp_path / "a.npz")))
    assert [catalog.counts()[split]["all"]["images"] for split in ("train", "validation", "test")] == [40, 12, 12]
    row = catalog.table.set_index("id").loc["a-0000041"]
    assert (row["path"], row["split"], row["label"]) == ("a.npz#41", "validation", 1)
    assert any("names no patients" in note for note in catalog.notes)


def test_medmnist_can_be_divided_anew_and_needs_a_rule_for_many_classes(tmp_path: Path) -> None:
    path = medmnist(tmp_path / "a.npz", classes=4)
    with pytest.raises(UserError, match="has the classes 0, 1, 2, 3: say which are positive"):
        build_catalog("medmnist", Request(root=path))
    request = Request(root=path, positive=LabelRule.parse("label=2|3"), fractions=Fractions(0.25, 0.25))
    catalog = build_catalog("medmnist", request)
    assert catalog.counts()["test"]["all"]["images"] == 16
    assert int(catalog.labels.sum()) == 32
    assert set(catalog.table["archive_split"]) == {"train", "validation", "test"}


# --- phantoms


def test_phantom_images_do_not_depend_on_the_size_of_the_cohort() -> None:
    small, large = (phantom_catalog("skin", n, seed=4).table.set_index("id") for n in (60, 200))
    shared = ["path", "label", "group", "severity", "patient_seed", "image_seed"]
    common = small.index.intersection(large.index)
    assert len(common) == 60
    assert small.loc[common, shared].equals(large.loc[common, shared])


def test_phantom_cohorts_have_the_stated_mixture() -> None:
    table = phantom_catalog("fundus", 4000, seed=1).table
    severity, label = table["severity"], table["label"]
    assert (label == (severity >= 0.5)).all()
    assert int(label.sum()) == 2000
    assert severity.between(0, 1).all()
    assert severity.between(0.42, 0.55).mean() == pytest.approx(0.10, abs=0.025)
    assert severity[severity < 0.42].mean() == pytest.approx(0.21, abs=0.02)
    assert severity[severity > 0.55].mean() == pytest.approx(0.775, abs=0.02)
    assert len(table) / table["group"].nunique() == pytest.approx(1.5, abs=0.05)


def test_phantom_patients_share_their_patient_and_nothing_else() -> None:
    table = phantom_catalog("chest", patients=100, seed=2).table
    assert table["group"].nunique() == 100
    by_patient = table.groupby("group")
    assert (by_patient["patient_seed"].nunique() == 1).all()
    assert (by_patient["severity"].nunique() == 1).all()
    assert table["image_seed"].is_unique
    assert table["patient_seed"].nunique() == 100


def test_other_seeds_and_tasks_are_other_cohorts() -> None:
    seeds = [set(phantom_catalog(task, 50, seed=s).table["image_seed"]) for task in ("skin", "chest") for s in (0, 1)]
    assert not any(seeds[i] & seeds[j] for i in range(4) for j in range(i))


def test_phantom_prevalence_is_kept_exactly() -> None:
    assert int(phantom_catalog("skin", 400, prevalence=0.2).labels.sum()) == 80
    with pytest.raises(UserError, match="prevalence"):
        phantom_catalog("skin", 400, prevalence=1.0)
    with pytest.raises(UserError, match="no phantoms of 'brain'"):
        phantom_catalog("brain", 400)
    with pytest.raises(UserError, match="needs a task"):
        build_catalog("phantom", Request())


# --- the real sets


def test_real_sets_are_read(shared_data: Path) -> None:
    catalogs = real_catalogs(shared_data / "real", seed=3)
    totals = {name: catalog.counts()["total"] for name, catalog in catalogs.items()}
    assert totals["fundus"]["positive"]["images"] == 113
    assert totals["fundus"]["all"]["images"] == 331
    assert totals["chest"]["positive"]["images"] == 256
    assert totals["skin"]["all"]["images"] == 1091
    for name, catalog in catalogs.items():
        assert catalog.task.name == name
        assert catalog.task.channels == TASKS[name].channels
        counts = catalog.counts()
        assert counts["test"]["all"]["groups"] / counts["total"]["all"]["groups"] == pytest.approx(0.25, abs=0.01)
        assert (catalog.root / catalog.table["path"].iloc[0]).is_file()
    assert catalogs["chest"].task.positive == "pneumonia"
    chest = catalogs["chest"].table
    ill = set(chest["group"][chest["label"] == 1])
    assert not ill & set(chest["group"][chest["label"] == 0])
