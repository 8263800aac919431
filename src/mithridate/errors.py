"""What can go wrong, in the two kinds that a user cares about: their mistake, or a failure of the run."""

from __future__ import annotations


class MithridateError(Exception):
    """A run failed for a reason that is not the user's mistake (exit code 1)."""


class UserError(MithridateError):
    """The user can put this right: the message is one sentence that names the file, row or field and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class MissingExtra(UserError):
    """An optional library is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}': install it with  pip install 'mithridate[{extra}]'")


class QueryLimitReached(MithridateError):
    """The oracle has answered as many queries for an example as the threat model allows."""
