"""Refused objects, kept with the reason beside them so that somebody can look into it."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from mithridate.errors import UserError
from mithridate.files import replace_file, replace_text
from mithridate.ledger.receive.refusal import Refused

_log = logging.getLogger(__name__)


class Quarantine:
    """A folder of refused objects, up to `capacity` bytes: NAME.bin as it arrived and NAME.txt, which says why.

    The name is made of the content, never of what the sender said, so an object sent again takes no more room.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self.folder = folder
        self._capacity = capacity
        self._lock = Lock()
        self._used = sum(file.stat().st_size for file in folder.glob("*.bin")) if folder.is_dir() else 0

    def put(self, data: bytes, name: str, peer: str, refused: Refused) -> Path | None:
        """Keep an object, with one line each for what, from whom, when and why.

        Returns the file of the object; None when it was not kept, which the log tells: a refusal stays what it is when
        the quarantine is full or broken.
        """
        path = self.folder / f"{hashlib.sha256(data).hexdigest()[:32]}.bin"
        with self._lock:
            if path.exists():
                return path
            if self._used + len(data) > self._capacity:
                _log.warning("%s is not kept in quarantine, which is full: empty %s", name, self.folder)
                return None
            self._used += len(data)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            replace_file(path, lambda partial: partial.write_bytes(data))
            replace_text(path.with_suffix(".txt"), f"what: {name}\nfrom: {peer}\nwhen: {when}\nwhy:  {refused}\n")
        except UserError as error:
            _log.warning("%s is not kept in quarantine: %s", name, error)
            with self._lock:
                self._used -= len(data)
            return None
        return path
