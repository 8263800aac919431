"""The statements of every batch and every judgement, built once: building one takes longer than running it."""

from __future__ import annotations

from sqlalchemy import bindparam, select, tuple_, update

from mithridate.ledger.store.tables import devices, endorsements, entries, head, lookups, revocations, salts

HEAD = select(head)
LOCK_HEAD = select(head).with_for_update()
HEAD_SIZE = select(head.c.size)
MOVE_HEAD = update(head).where(
    head.c.id == 1, head.c.size == bindparam("old_size"), head.c.root == bindparam("old_root")
).values({name: bindparam(name) for name in ("origin", "size", "root", "peaks", "checkpoint")})  # fmt: skip

CHANGE_DEVICE = (
    update(devices)
    .where(devices.c.number == bindparam("changed"))
    .values(following=bindparam("following"), revoked=bindparam("revoked"))
)

DEVICE = select(devices).where(devices.c.device == bindparam("id"))
DEVICES = select(devices).where(devices.c.device.in_(bindparam("ids", expanding=True)))
ALL_DEVICES = select(devices).order_by(devices.c.number)

ENTRY = select(entries).where(entries.c.position == bindparam("position"))
ENTRY_OF = select(entries).where(entries.c.device == bindparam("device"), entries.c.sequence == bindparam("sequence"))
POSITION_OF = (
    select(entries.c.position).where(entries.c.leaf == bindparam("leaf")).order_by(entries.c.position).limit(1)
)

FIND = (
    select(lookups.c.position)
    .where(lookups.c.kind == bindparam("kind"), lookups.c.key == bindparam("key"))
    .order_by(lookups.c.position.desc())
)
FIND_NEWEST = FIND.limit(bindparam("most"))
FIND_OLDEST = FIND.order_by(None).order_by(lookups.c.position).limit(1)
FIND_FIRST = (
    select(lookups.c.key, lookups.c.position)
    .where(lookups.c.kind == bindparam("kind"), lookups.c.key.in_(bindparam("keys", expanding=True)))
    .order_by(lookups.c.position)
)
LOOKUPS_PRESENT = select(lookups.c.kind, lookups.c.key, lookups.c.position).where(
    tuple_(lookups.c.kind, lookups.c.key, lookups.c.position).in_(bindparam("wanted", expanding=True))
)

SALT = select(salts.c.salt).where(salts.c.position == bindparam("position"))
REVOCATION = select(revocations.c.position).where(revocations.c.target == bindparam("target"))
NEWEST_ENDORSEMENT = select(endorsements).order_by(endorsements.c.size.desc()).limit(1)
ENDORSEMENT = NEWEST_ENDORSEMENT.where(endorsements.c.size == bindparam("stated"))
