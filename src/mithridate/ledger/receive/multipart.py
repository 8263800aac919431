"""The parts of a multipart/related body, one object each, while the body streams in (RFC 2387, PS3.18 8.6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mithridate.errors import UserError
from mithridate.ledger.receive.body import Body

DICOM_TYPE = "application/dicom"


class MultipartError(UserError):
    """The body is not what its content type says."""


@dataclass
class Part:
    """One object: its content type in lower case, empty when not stated, and its bytes."""

    content_type: str
    body: Body


def read_content_type(header: str) -> tuple[str, str, str]:
    """Media type, `type` parameter and boundary of a Content-Type header; empty strings for what is absent."""
    media, options = parse_options_header(header)
    kind = options.get(b"type", b"").decode("latin-1").lower()
    return media.decode("latin-1").lower(), kind, options.get(b"boundary", b"").decode("latin-1")


class PartReader:
    """Cuts a stream into parts, each within `limit` bytes; what is larger becomes a part whose body has a fault.

    Raises MultipartError for a boundary that is none and for a stream that is not made of parts.
    """

    def __init__(self, boundary: str, limit: int, folder: Path | None) -> None:
        self._limit = limit
        self._folder = folder
        self._field = b""
        self._value = b""
        self._part: Part | None = None
        self._finished: list[Part] = []
        self._has_ended = False
        try:
            self._parser = MultipartParser(
                boundary.encode("latin-1"),
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._add_field,
                    "on_header_value": self._add_value,
                    "on_header_end": self._end_header,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except (FormParserError, UnicodeEncodeError) as error:
            raise MultipartError(f"the request's boundary cannot be used ({error})") from None

    def feed(self, chunk: bytes) -> list[Part]:
        """Take the next bytes; returns the parts that they complete."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MultipartError(f"the request's body is not made of parts as its boundary says ({error})") from None
        finished, self._finished = self._finished, []
        return finished

    def finish(self) -> None:
        """The stream has ended.  Raises MultipartError when the last boundary never came."""
        if not self._has_ended:
            raise MultipartError("the request's body ends before its last boundary: send it again")

    def close(self) -> None:
        """Let go of a part that will not be complete."""
        if self._part is not None:
            self._part.body.close()

    def _begin(self) -> None:
        self._part = Part("", Body(self._limit, self._folder))
        self._field = self._value = b""

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._part is not None and self._field.lower() == b"content-type":
            self._part.content_type = self._value.partition(b";")[0].strip().decode("latin-1").lower()
        self._field = self._value = b""

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.body.write(data[start:end])

    def _end_part(self) -> None:
        if self._part is not None:
            self._finished.append(self._part)
            self._part = None

    def _end(self) -> None:
        self._has_ended = True
