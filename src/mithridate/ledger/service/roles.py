"""Who may do what: four roles, and for each the few things that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """DEVICE submits its own records and images of its host's stations.  VERIFIER judges images and takes proofs.
    AUDITOR reads everything, figures of the service included.  ADMIN also enrolls and revokes."""

    DEVICE = "device"
    VERIFIER = "verifier"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    """One kind of thing to do."""

    SUBMIT = "submit"
    JUDGE = "judge"
    PROVE = "prove"
    READ_LOG = "read-log"
    MONITOR = "monitor"
    ENROLL = "enroll"
    REVOKE = "revoke"


_READING = {Permission.JUDGE, Permission.PROVE, Permission.READ_LOG}
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.DEVICE: frozenset({Permission.SUBMIT, Permission.READ_LOG}),
    Role.VERIFIER: frozenset(_READING),
    Role.AUDITOR: frozenset(_READING | {Permission.MONITOR}),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True)
class Principal:
    """Who is asking, by name; `device` is the ID of the only device whose records it may submit, None for any."""

    name: str
    role: Role
    device: bytes | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the role includes this."""
        return permission in PERMISSIONS[self.role]


ANYBODY = Principal("anybody", Role.VERIFIER)
"""Who reads a log that is public."""
