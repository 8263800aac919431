"""What may be asked of a ledger; `log.Ledger` adds what may be said to it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from mithridate.errors import UserError
from mithridate.ledger.bundle import ProofBundle
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Fingerprint, Verdict, fingerprint_image
from mithridate.ledger.fingerprint.model import FingerprintError
from mithridate.ledger.folder import LedgerFolder
from mithridate.ledger.fsck import FsckReport, Progress, check_ledger
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.judgement import LogJudgement
from mithridate.ledger.judging import Judge
from mithridate.ledger.keys import Signer
from mithridate.ledger.note_keys import NoteKey, VerifierKey
from mithridate.ledger.proof_reader import ProofReader, TreeCache
from mithridate.ledger.proving import Prover
from mithridate.ledger.publishing import Publisher
from mithridate.ledger.registry import Registry
from mithridate.ledger.store.rows import Device
from mithridate.ledger.store.store import Store
from mithridate.ledger.submission import LookupKeys
from mithridate.ledger.tile_reader import TileReader, folder_source
from mithridate.ledger.view import LogView
from mithridate.ledger.writing import Appender


class ReadableLedger:
    """The reading half of a ledger.  Every method raises LedgerFailure when the database does not answer."""

    def __init__(self, folder: LedgerFolder, signer: Signer | None = None) -> None:
        """`signer` is the log's key when it is not kept in the folder."""
        key = signer or folder.log_signer()
        if key.public_key != folder.verifier.public_key:
            raise UserError(f"the key given is not that of the ledger {folder.origin!r}: give the one it was made with")
        self._folder = folder
        self._note_key = NoteKey(folder.origin, key)
        self._store = Store(folder.url())
        self._keys = LookupKeys(folder.lookup_secret())
        self._registry = Registry(self._store)
        self._publisher = Publisher(folder.tiles, folder.lock("tiles"), folder.verifier, self._store)
        self._appender = Appender(
            self._store, self._publisher, folder.verifier, self._note_key, on_server=folder.database is not None
        )
        self._judge = Judge(self._store, self._keys, self._view)
        self._prover = Prover(self._store, self._note_key, self._view, self._view_of)
        self._trees = TreeCache()
        self._latest: LogView | None = None
        self._latest_lock = threading.Lock()

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints."""
        return self._folder.origin

    @property
    def folder(self) -> Path:
        """The ledger's folder."""
        return self._folder.path

    @property
    def tiles_folder(self) -> Path:
        """The folder of tiles and checkpoint, laid out as C2SP tlog-tiles says; everything in it is public."""
        return self._folder.tiles

    def verifier(self) -> VerifierKey:
        """The public key of the log's checkpoints."""
        return self._folder.verifier

    @property
    def size(self) -> int:
        """How many entries the last checkpoint covers."""
        return self._view().size

    def checkpoint(self) -> bytes:
        """The last checkpoint, as a signed note; its tiles are in the folder."""
        return self._view().note

    def reader(self) -> TileReader:
        """The tiles under the last checkpoint, for one thread; they lie in `tiles_folder`, servable as static files."""
        return self._reader(self._view().size)

    def judge(self, data: bytes, name: str, *, known_as: str | None = None, entry: int | None = None) -> LogJudgement:
        """Say what became of an image since it was recorded; an image that cannot be read is UNKNOWN.

        A file that bears no identity and has no record is looked for by `known_as`, its path (by default the name),
        so that an altered one is told from one that was never logged.  `entry` names the one record to judge by.
        Raises EvidenceError when the log itself does not hold, LedgerFailure when it cannot answer: use no image then.
        """
        try:
            image = fingerprint_image(data, name)
        except FingerprintError as error:
            return LogJudgement(Verdict.UNKNOWN, (), str(error))
        return self.judge_fingerprint(image, known_as=known_as or name, entry=entry)

    def judge_fingerprint(
        self, fingerprint: Fingerprint, *, known_as: str | None = None, entry: int | None = None
    ) -> LogJudgement:
        """`judge` for an image that is fingerprinted already."""
        return self._judge.judge(fingerprint, known_as, entry)

    def prove(self, index: int, *, with_salt: bool = True) -> ProofBundle:
        """An offline proof of entry `index`; with its salt it is as private as the image.

        Raises UserError when there is no such entry.
        """
        return self._prover.prove(index, with_salt=with_salt)

    def find(self, keyword: str, value: str) -> Sequence[int]:
        """Indices of the records whose PatientID, AccessionNumber or SOPInstanceUID (the keyword) is this value."""
        kind, key = self._keys.of_value(keyword, value)
        with self._store.reading() as connection:
            return self._store.find(connection, kind, key)[::-1]

    def find_time(self, begin: int, end: int) -> Sequence[int]:
        """Indices of the records whose devices state a time in [begin, end), in microseconds since 1970."""
        with self._store.reading() as connection:
            return self._store.find_time(connection, begin, end)

    def position(self, leaf: bytes) -> int | None:
        """The index of the entry with this leaf hash, None when the log has none."""
        with self._store.reading() as connection:
            return self._store.position_of(connection, leaf)

    def salt(self, index: int) -> bytes | None:
        """The private salt of an entry, None when it has none or it was destroyed."""
        with self._store.reading() as connection:
            return self._store.salt(connection, index)

    def devices(self) -> list[tuple[Device, DeviceIdentity]]:
        """Every device ever enrolled, in order: where it was enrolled and revoked, its next number, and who it is."""
        return self._registry.all()

    def fsck(self, progress: Progress | None = None) -> FsckReport:
        """Hash every entry and check everything that should follow from it."""
        self._appender.wait()
        return check_ledger(self._folder, self._store, progress)

    def _view(self, least: int = 0) -> LogView:
        """The log under its last checkpoint, which covers `least` entries; tiles that lag behind are written first."""
        head = self._store.head()
        note, checkpoint = self._publisher.checkpoint()
        if checkpoint is None or checkpoint.size < max(head.size, least):
            self._publisher.publish(self._appender.check(head))
            note, checkpoint = self._publisher.checkpoint()
        with self._latest_lock:
            if self._latest is None or self._latest.note != note:
                if checkpoint is None or checkpoint.size < least:
                    raise EvidenceError(f"the log ends before entry {least - 1}: run  mithridate ledger fsck")
                self._latest = LogView(note, checkpoint, self._reader)
            return self._latest

    def _view_of(self, note: bytes) -> LogView:
        return LogView(note, self._own_checkpoint(note), self._reader)

    def _own_checkpoint(self, note: bytes) -> Checkpoint:
        return open_checkpoint(note, [self._folder.verifier], origin=self.origin)[0]

    def _reader(self, size: int) -> TileReader:
        return ProofReader(folder_source(self._folder.tiles), size, self._trees)
