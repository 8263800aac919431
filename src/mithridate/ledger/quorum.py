"""Whom to believe: the logs that are known, the witnesses, and how many of them must have cosigned (C2SP tlog-policy).

    log <key> [<url>]
    witness <name> <key> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

A log alone can show different histories to different people.  A witness signs one history only, so a checkpoint that
enough independent witnesses have cosigned is the one that everybody else sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from mithridate.errors import UserError
from mithridate.ledger.checkpoint import Checkpoint, parse_checkpoint
from mithridate.ledger.errors import NoteError
from mithridate.ledger.mldsa import MldsaVerifier, parse_verifier
from mithridate.ledger.note import open_note
from mithridate.ledger.note_keys import COSIGNATURE, ED25519, VerifierKey

PublicKey: TypeAlias = VerifierKey | MldsaVerifier

NONE = "none"


class QuorumError(NoteError):
    """A checkpoint is genuine as far as it goes, and too few witnesses vouch for it."""


@dataclass(frozen=True)
class KnownLog:
    """A log by its key, whose name is the log's origin."""

    key: PublicKey
    url: str | None = None


@dataclass(frozen=True)
class KnownWitness:
    """A witness by its key; `name` means something inside the policy only."""

    name: str
    key: PublicKey
    url: str | None = None


@dataclass(frozen=True)
class Group:
    """Witnesses a checkpoint when at least `threshold` of its members, witnesses or groups, do."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Accepted:
    """A checkpoint that a policy accepts: the log's key, and for each witness that cosigned the time it states.

    Times are in seconds since 1970, each by that witness's own clock.
    """

    checkpoint: Checkpoint
    log: PublicKey
    witnesses: Mapping[str, int]


@dataclass(frozen=True)
class TrustPolicy:
    """Known logs, known witnesses, and the quorum: the name of a witness or group, or "none"."""

    logs: tuple[KnownLog, ...] = ()
    witnesses: tuple[KnownWitness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE
    _named: Mapping[str, Group | KnownWitness] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        _refuse_duplicates([log.key for log in self.logs], "log")
        _refuse_duplicates([witness.key for witness in self.witnesses], "witness")
        named: dict[str, Group | KnownWitness] = {}
        items: tuple[Group | KnownWitness, ...] = (*self.witnesses, *self.groups)
        for item in items:
            if item.name in named or item.name == NONE:
                raise UserError(f"the policy gives the name {item.name!r} twice, or to something that it is not for")
            if isinstance(item, Group):
                _check_members(item, named, [group for group in self.groups if group is not item])
            named[item.name] = item
        if self.quorum != NONE and self.quorum not in named:
            raise UserError(f"the policy's quorum {self.quorum!r} is no witness or group of it")
        object.__setattr__(self, "_named", named)

    @classmethod
    def of(cls, logs: Sequence[PublicKey], witnesses: Sequence[PublicKey], threshold: int) -> TrustPolicy:
        """The simplest policy: `threshold` of these witnesses, 0 for none at all."""
        known = tuple(KnownWitness(f"w{number}", key) for number, key in enumerate(witnesses, 1))
        if not threshold:
            return cls(tuple(map(KnownLog, logs)), known)
        group = Group("witnesses", threshold, tuple(witness.name for witness in known))
        return cls(tuple(map(KnownLog, logs)), known, (group,), group.name)

    def accept(self, note: bytes) -> Accepted:
        """Read a checkpoint that one of the logs signed and a quorum of the witnesses cosigned.

        Raises NoteError when it is malformed, a trusted key's signature is false, or no listed log signed it under its
        own origin; QuorumError, which names the witnesses that are missing, when the quorum did not.
        """
        keys = [log.key for log in self.logs] + [witness.key for witness in self.witnesses]
        opened, endorsements = open_note(note, keys)
        checkpoint = parse_checkpoint(opened.text)
        signed = {(found.name, found.key_id): found.time for found in endorsements}
        signers = [log.key for log in self.logs if _identity(log.key) in signed and log.key.name == checkpoint.origin]
        if not signers:
            raise NoteError(f"the checkpoint of {checkpoint.origin!r} is signed by no log that the policy lists for it")
        times = {
            witness.name: signed[_identity(witness.key)] or 0
            for witness in self.witnesses
            if _identity(witness.key) in signed
        }
        if not self.is_quorum(times):
            missing = sorted(witness.name for witness in self.witnesses if witness.name not in times)
            raise QuorumError(
                f"the checkpoint of {checkpoint.size} entries is cosigned by {_listed(times)} and the policy asks for "
                f"{self._demand(self.quorum)}: no cosignature of {_listed(missing)}"
            )
        return Accepted(checkpoint, signers[0], times)

    def is_quorum(self, witnesses: Mapping[str, object]) -> bool:
        """Whether the witnesses of these names are enough."""
        return self.quorum == NONE or self._has_witnessed(self.quorum, witnesses)

    def _has_witnessed(self, name: str, witnesses: Mapping[str, object]) -> bool:
        item = self._named[name]
        if isinstance(item, KnownWitness):
            return name in witnesses
        return sum(self._has_witnessed(member, witnesses) for member in item.members) >= item.threshold

    def _demand(self, name: str) -> str:
        item = self._named[name]
        if isinstance(item, KnownWitness):
            return name
        return f"{item.threshold} of ({', '.join(self._demand(member) for member in item.members)})"


def load_policy(path: Path) -> TrustPolicy:
    """Read a policy file.  Raises UserError, naming file and line, when it cannot be read or is not of the form."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name a policy file") from None
    return parse_policy(content, str(path))


def parse_policy(content: bytes, name: str = "the policy") -> TrustPolicy:
    """Read a policy's bytes; `name` is how messages call it.  Raises UserError naming the line that is wrong."""
    logs: list[KnownLog] = []
    witnesses: list[KnownWitness] = []
    groups: list[Group] = []
    quorums: list[str] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        words = _words(line, f"{name}, line {number}")
        try:
            match words:
                case []:
                    pass
                case ["log", key, *url] if len(url) <= 1:
                    logs.append(KnownLog(_key(key, ED25519), *url))
                case ["witness", label, key, *url] if len(url) <= 1:
                    witnesses.append(KnownWitness(label, _key(key, COSIGNATURE), *url))
                case ["group", label, threshold, member, *members]:
                    groups.append(Group(label, _threshold(threshold, 1 + len(members)), (member, *members)))
                case ["quorum", label]:
                    quorums.append(label)
                case _:
                    raise UserError(f"{words[0]!r} with {len(words) - 1} words after it is no line of a policy")
            TrustPolicy(tuple(logs), tuple(witnesses), tuple(groups), quorums[-1] if quorums else NONE)
        except UserError as error:
            raise UserError(f"{name}, line {number}: {error}") from None
    if len(quorums) != 1:
        raise UserError(f"{name} has {len(quorums)} quorum lines: it needs one, 'quorum none' when nobody must cosign")
    return TrustPolicy(tuple(logs), tuple(witnesses), tuple(groups), quorums[0])


def _words(line: bytes, where: str) -> list[str]:
    """The words of a line, parted by spaces and tabs alone; none of a comment."""
    if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in line):
        raise UserError(f"{where} holds a control character: save the file as plain text with Unix line ends")
    text = line.decode("utf-8", "surrogateescape").strip(" \t")
    return [] if not text or text.startswith("#") else re.split(r"[ \t]+", text)


def _key(text: str, kind: int) -> PublicKey:
    if any("\udc80" <= letter <= "\udcff" for letter in text):  # a name in the policy may be any bytes, a key's may not
        raise UserError("the key is not UTF-8: copy the whole line again")
    key = parse_verifier(text)
    if isinstance(key, VerifierKey) and key.kind != kind:
        raise UserError(f"the key of {key.name} is of type {key.kind:#04x}: a log's is 0x01, a witness's 0x04 or 0x06")
    return key


def _threshold(text: str, members: int) -> int:
    if text in ("all", "any"):
        return members if text == "all" else 1
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text) or int(text) > members:
        raise UserError(
            f"a threshold is 'all', 'any' or a number from 1 to {members}, the members listed; not {text!r}"
        )
    return int(text)


def _refuse_duplicates(keys: Sequence[PublicKey], what: str) -> None:
    """One key under two names would count twice."""
    seen: dict[bytes, str] = {}
    for key in keys:
        if key.public_key in seen:
            raise UserError(f"the policy lists the same key as {what} {seen[key.public_key]!r} and {key.name!r}")
        seen[key.public_key] = key.name


def _check_members(group: Group, named: Mapping[str, object], others: Sequence[Group]) -> None:
    if not 1 <= group.threshold <= len(group.members):
        raise UserError(f"the group {group.name!r} asks for {group.threshold} of {len(group.members)} members")
    if len(set(group.members)) != len(group.members):
        raise UserError(f"the group {group.name!r} lists a member twice")
    for member in group.members:
        if member not in named:
            raise UserError(f"the group {group.name!r} lists {member!r}, which no line above it defines")
        if any(member in other.members for other in others):
            raise UserError(f"{member!r} is a member of two groups, so it would count twice")


def _identity(key: PublicKey) -> tuple[str, bytes]:
    return key.name, key.key_id


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(names) or "nobody"
