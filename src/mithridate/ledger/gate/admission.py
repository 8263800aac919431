"""The gate: the one door through which an image reaches the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mithridate.ledger.bundle import ProofBundle
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.fingerprint.dicom import OpenedDicom
from mithridate.ledger.fingerprint.image import open_image
from mithridate.ledger.fingerprint.model import FingerprintError, Limits
from mithridate.ledger.fingerprint.raster import OpenedRaster
from mithridate.ledger.gate.database import GateDatabase
from mithridate.ledger.gate.events import Decision, Event, Listener, TwoIdentitiesAlert, log_event
from mithridate.ledger.gate.evidence import EvidenceCheck, Source
from mithridate.ledger.gate.expected import Expected, check_expected
from mithridate.ledger.gate.journal import Journal
from mithridate.ledger.gate.nonces import NonceStore
from mithridate.ledger.gate.pixels import EXACT, Frames, read_frames
from mithridate.ledger.gate.policy import Policy
from mithridate.ledger.gate.preprocessing import STORED, Preprocessing, Tensor, Verified, tensor_hash
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode, code_of
from mithridate.ledger.gate.trust import CheckpointJudge
from mithridate.ledger.judgement import LogJudgement


@dataclass(frozen=True)
class Admitted:
    """An image that was verified, as the model is to take it.

    Attributes: array (read-only; decoded from the very bytes that were verified), data (those bytes), verdict and
    reason, index, device and time (microseconds since 1970) of its record, file (SHA-256 of the bytes), tensor (F5, the
    hash of array and preprocessing), preprocessing ("stored/1"), decoder ("exact", or library and version), size (of
    the log at the checkpoint that was relied on) and proof (what was checked), None where no proof was asked for,
    alerts.
    """

    array: Tensor
    data: bytes = field(repr=False)
    verdict: Verdict
    reason: str
    index: int | None
    device: bytes | None
    time: int | None
    file: bytes
    tensor: bytes
    preprocessing: str
    decoder: str
    size: int | None
    proof: ProofBundle | None = field(repr=False)
    alerts: tuple[TwoIdentitiesAlert, ...]


@dataclass
class Gate:
    """Admits images under a policy.  Thread-safe; whatever goes wrong, nothing is admitted.

    Attributes: policy; source (None for a gate that only takes images with their proof bundles); preprocessing;
    database (of nonces and of the log's last size seen; in memory unless given, so lost with the process); journal (of
    every decision; one that cannot be written refuses); listeners (told of every decision and alert; one that fails
    refuses); clock (seconds since 1970).
    """

    policy: Policy
    source: Source | None = None
    preprocessing: Preprocessing = STORED
    database: GateDatabase = field(default_factory=GateDatabase)
    journal: Journal | None = None
    listeners: Sequence[Listener] = (log_event,)
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.nonces = NonceStore(self.database, clock=self.clock)
        self._evidence = EvidenceCheck(self.source, CheckpointJudge(self.database, self.clock))

    def admit(
        self,
        image: bytes | Path,
        *,
        expected: Expected | None = None,
        nonce: str | None = None,
        bundle: ProofBundle | bytes | None = None,
        policy: Policy | None = None,
        name: str | None = None,
    ) -> Admitted:
        """Verify an image and give the array for the model.

        A path is read once, and what was read is what is verified and decoded.  `bundle` is the image's offline proof,
        for a gate without a source; `policy` stands for the gate's own in this call; `name` is what messages call the
        image.  Raises GateRefusal in every other case than success.
        """
        called = name or (image.name if isinstance(image, Path) else "the image")
        request = _Request(policy or self.policy, expected or Expected(), called)
        try:
            if nonce is not None:
                self.nonces.use(nonce, request.expected)
            elif request.policy.nonce == "required":
                raise GateRefusal(RefusalCode.NONCE, "the policy asks for a nonce: ask the gate for one first")
            admitted = self._admit(image, request, bundle)
            self._tell(_admission(admitted, called))
        except GateRefusal as refusal:
            self._record_refusal(request, refusal)
            raise
        except Exception as error:  # fail closed: what was not foreseen admits nothing either
            failure = GateRefusal(RefusalCode.FAILURE, f"the gate failed and admits nothing: {_gist(error)}")
            self._record_refusal(request, failure)
            raise failure from error
        return admitted

    def _admit(self, image: bytes | Path, request: _Request, bundle: ProofBundle | bytes | None) -> Admitted:
        policy, name = request.policy, request.name
        data = request.read(image)
        opened = request.open(data)
        found = self._evidence.judge(opened.fingerprint, policy, bundle, request.expected.entry)
        judgement = found.judgement
        request.learn(judgement)
        request.check_judgement(judgement)
        is_required = policy.identity == "required"
        check_expected(opened, request.expected, judgement.index, name, required=is_required)
        alerts = self._alerts(judgement, request)
        samples = request.decode(opened, data)
        array = self.preprocessing.apply(Verified(data, name, opened, samples))
        array.flags.writeable = False
        hashed = samples.digest if self.preprocessing is STORED else None
        return Admitted(
            array=array.view(),  # which cannot be made writable again
            data=data,
            verdict=judgement.verdict,
            reason=judgement.reason,
            index=judgement.index,
            device=judgement.device,
            time=judgement.time,
            file=opened.fingerprint.file,
            tensor=tensor_hash(array, self.preprocessing, hashed),
            preprocessing=str(self.preprocessing),
            decoder=samples.decoder,
            size=found.size,
            proof=found.proof,
            alerts=alerts,
        )

    def _alerts(self, judgement: LogJudgement, request: _Request) -> tuple[TwoIdentitiesAlert, ...]:
        if not judgement.others:
            return ()
        alert = TwoIdentitiesAlert(request.name, judgement.index, judgement.others)
        self._notify(alert)
        if request.policy.two_identities == "refuse":
            raise GateRefusal(RefusalCode.TWO_IDENTITIES, str(alert), verdict=judgement.verdict, index=judgement.index)
        return (alert,)

    def _tell(self, decision: Decision) -> None:
        """The journal comes last: an admission that stands there was given out."""
        self._notify(decision)
        if self.journal is not None:
            self.journal.write(decision)

    def _notify(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _record_refusal(self, request: _Request, refusal: GateRefusal) -> None:
        """A refusal stands, whether or not it can be written down."""
        known = request.known
        verdict = refusal.verdict or known.verdict
        decision = replace(known, code=str(refusal.code), reason=refusal.reason, verdict=verdict)
        try:
            self._tell(decision)
        except Exception as error:
            refusal.add_note(f"the refusal could not be recorded: {_gist(error)}")


@dataclass
class _Request:
    """One request on its way; `known` is what has been found out so far, for the journal."""

    policy: Policy
    expected: Expected
    name: str

    def __post_init__(self) -> None:
        self.known = Decision(admitted=False, code="", reason="", name=self.name)

    def read(self, image: bytes | Path) -> bytes:
        """The image's bytes, which nobody can change any more."""
        if not isinstance(image, Path):
            return bytes(image)
        try:
            with image.open("rb") as stream:
                return stream.read(self.policy.max_bytes + 1)
        except OSError as error:
            raise GateRefusal(RefusalCode.UNREADABLE, f"{image} cannot be read: {error.strerror or error}") from error

    def open(self, data: bytes) -> OpenedDicom | OpenedRaster:
        """The image with its fingerprint, by the policy's size limit."""
        try:
            opened = open_image(data, self.name, Limits(file_bytes=self.policy.max_bytes))
        except FingerprintError as error:
            raise GateRefusal(RefusalCode.UNREADABLE, str(error), verdict=Verdict.UNKNOWN) from error
        self.known = replace(self.known, file=opened.fingerprint.file)
        return opened

    def learn(self, judgement: LogJudgement) -> None:
        """Keep what the log says, for the journal."""
        self.known = replace(self.known, verdict=judgement.verdict, index=judgement.index, device=judgement.device)

    def check_judgement(self, judgement: LogJudgement) -> None:
        """Raises GateRefusal unless verdict and device are such as the policy admits."""
        if not judgement.is_accepted or not self.policy.accepts(judgement.verdict):
            raise GateRefusal(
                code_of(judgement.verdict),
                f"{self.name} is {judgement.verdict.value}: {judgement.reason}",
                verdict=judgement.verdict,
                attributes=judgement.attributes,
                index=judgement.index,
            )
        allowed = self.policy.devices
        if allowed is not None and (judgement.device is None or judgement.device.hex() not in allowed):
            raise GateRefusal(
                RefusalCode.DEVICE,
                f"{self.name} was recorded by a device that the policy does not list",
                verdict=judgement.verdict,
                index=judgement.index,
            )

    def decode(self, opened: OpenedDicom | OpenedRaster, data: bytes) -> Frames:
        """The verified samples.  Raises GateRefusal for a kind of coding or a decoder that the policy rules out."""
        if opened.fingerprint.pixels is None and not self.policy.lossy:
            raise GateRefusal(
                RefusalCode.LOSSY, f"{self.name} is known by its compressed stream alone, which the policy rules out"
            )
        samples = read_frames(opened, data, self.name)
        if samples.decoder != EXACT and self.policy.decoder not in (None, samples.decoder):
            reason = f"{self.name} was decoded by {samples.decoder}, and the policy asks for {self.policy.decoder}"
            raise GateRefusal(RefusalCode.DECODER, reason)
        return samples


def _admission(admitted: Admitted, name: str) -> Decision:
    return Decision(
        admitted=True,
        code="admitted",
        reason=admitted.reason,
        name=name,
        verdict=admitted.verdict,
        index=admitted.index,
        device=admitted.device,
        file=admitted.file,
        tensor=admitted.tensor,
        preprocessing=admitted.preprocessing,
        decoder=admitted.decoder,
        size=admitted.size,
    )


def _gist(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return text or type(error).__name__
