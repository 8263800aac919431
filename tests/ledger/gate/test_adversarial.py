"""The imaging study behind the gate: every untouched image is admitted, every altered or substituted one is not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from torch import nn

from ledger.dicom_files import write
from ledger.gate.ledgers import STATION, copied
from mithridate.attack import Examples
from mithridate.budget import L2, Linf
from mithridate.imaging.attacks import FGSM, PGD, RandomNoise, WorstRotation
from mithridate.imaging.phantoms.cohort import draw_cohort, render_phantom
from mithridate.imaging.rotation import Rotation
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.gate import DISPLAY, Expected, Gate, Policy, RefusalCode
from mithridate.ledger.gate.deployed import Presented, Screened, screen_images
from mithridate.ledger.log import Ledger
from mithridate.models.torch_module import TorchModel
from mithridate.oracle import Gradients
from mithridate.seeds import ExampleRandom

SIZE, PATIENTS = 64, 4
IDS = tuple(f"P{number}" for number in range(PATIENTS))


@dataclass
class Study:
    """Clean images of a cohort and what each attack makes of them, all float32 N x 1 x H x W in [0, 1]."""

    clean: torch.Tensor
    attacked: dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def study() -> Study:
    paths = [phantom.path for phantom in draw_cohort("chest", images=PATIENTS, seed=5)][:PATIENTS]
    clean = torch.from_numpy(np.stack([render_phantom(path, SIZE)[:, :, 0] for path in paths]))[:, None]
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64, 2))
    model = TorchModel(module.eval())
    labels = model.logits(clean).argmax(1)
    examples = Examples(clean, labels, IDS)
    attacks: dict[str, tuple[Any, Any]] = {
        "pgd": (PGD(steps=3), Linf(8 / 255)),
        "pgd-least": (PGD(steps=3), Linf(1 / 65535)),  # no more than the last bit of a stored sample
        "fgsm-l2": (FGSM(), L2(0.5)),
        "noise": (RandomNoise(), Linf(2 / 255)),
        "rotation": (WorstRotation(angles=3), Rotation(10.0)),
    }
    made = {
        name: attack.run(Gradients(model, PATIENTS), examples, budget, ExampleRandom(1, name, IDS))
        for name, (attack, budget) in attacks.items()
    }
    made["patch"] = clean.clone()
    made["patch"][:, :, 10:16, 10:16] = torch.rand((PATIENTS, 1, 6, 6), generator=torch.Generator().manual_seed(2))
    return Study(clean, made)


def to_dicom(pixels: torch.Tensor, patient: str) -> bytes:
    """One image as a modality would store it, with 16 bits."""
    dataset = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=bytes(128))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"1.2.3.{patient[1:]}.1"
    dataset.PatientID, dataset.AccessionNumber, dataset.Modality = patient, f"A-{patient}", "DX"
    dataset.Rows = dataset.Columns = SIZE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.WindowCenter, dataset.WindowWidth = 32768, 65536
    dataset.add_new(0x7FE00010, "OW", stored(pixels).astype("<u2").tobytes())
    return write(dataset)


def to_png(pixels: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(stored(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def stored(pixels: torch.Tensor) -> NDArray[np.uint16]:
    return np.asarray((pixels[0].double() * 65535).round().numpy(), dtype=np.uint16)


@pytest.fixture(scope="module")
def gate(study: Study, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Before a ledger in which the clean images were logged as they were captured."""
    with copied(template, tmp_path_factory.mktemp("study") / "ledger") as ledger:
        _log(ledger, study)
        yield Gate(Policy(log_key=str(ledger.verifier())), ledger, DISPLAY)


def _log(ledger: Ledger, study: Study) -> None:
    station = ledger.station(STATION)
    for pixels, patient in zip(study.clean, IDS, strict=True):
        ledger.capture(to_dicom(pixels, patient), patient, station=station)
        ledger.capture(to_png(pixels), patient, station=station)


def screened(gate: Gate, images: torch.Tensor, patients: tuple[str, ...] = IDS) -> list[Screened]:
    return list(
        screen_images(
            gate,
            (
                Presented(patient, to_dicom(pixels, patient), Expected(patient=patient, accession=f"A-{patient}"))
                for pixels, patient in zip(images, patients, strict=True)
            ),
        )
    )


def test_every_untouched_image_reaches_the_model_as_it_was(gate: Gate, study: Study) -> None:
    for found, pixels in zip(screened(gate, study.clean), study.clean, strict=True):
        assert found.is_admitted, found.refusal
        assert found.admitted is not None
        np.testing.assert_allclose(found.admitted.array[:, :, 0], pixels[0].numpy(), atol=2 / 65535)


@pytest.mark.parametrize("attack", ["pgd", "pgd-least", "fgsm-l2", "noise", "rotation", "patch"])
def test_no_attacked_image_reaches_the_model(attack: str, gate: Gate, study: Study) -> None:
    images = study.attacked[attack]
    changed = [not np.array_equal(stored(a), stored(b)) for a, b in zip(images, study.clean, strict=True)]
    assert all(changed), "an attack that changes nothing would show nothing"
    for found in screened(gate, images):
        assert found.refusal is not None
        assert (found.refusal.code, found.refusal.verdict) == (RefusalCode.MISMATCH, Verdict.MISMATCH)


def test_no_substituted_patient_reaches_the_model(gate: Gate, study: Study) -> None:
    """Another patient's genuine file, and another patient's pixels under this patient's name."""
    genuine = [
        Presented(one, to_dicom(study.clean[number], one), Expected(patient=IDS[number - 1]))
        for number, one in enumerate(IDS)
    ]
    for found in screen_images(gate, genuine):
        assert found.refusal is not None
        assert found.refusal.code is RefusalCode.UNEXPECTED_IDENTITY
    for found in screened(gate, study.clean.roll(1, 0)):
        assert found.refusal is not None
        assert found.refusal.code in (RefusalCode.METADATA_EDITED, RefusalCode.MISMATCH)


def test_pictures_without_a_name_are_told_apart_by_their_pixels(gate: Gate, study: Study) -> None:
    unnamed = Gate(gate.policy.model_copy(update={"identity": "optional"}), gate.source)
    kinds = {"clean": study.clean, **study.attacked}
    pictures = [Presented(kind, to_png(pixels), Expected()) for kind, images in kinds.items() for pixels in images]
    steps: list[int] = []
    found = list(screen_images(unnamed, pictures, progress=lambda _, done, __: steps.append(done)))
    assert [one.name for one in found if one.is_admitted] == ["clean"] * PATIENTS
    assert steps == list(range(1, len(pictures) + 1))
