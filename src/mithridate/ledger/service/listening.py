"""Settings files, and what every server that listens must say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mithridate.errors import UserError

ModelT = TypeVar("ModelT", bound=BaseModel)


class Listening(BaseModel):
    """Where a server listens, and who can hear it.

    Attributes:
        host, port: Where to listen; port 0 for any free one.
        certificate, key: TLS, as PEM files.  Needed to listen on anything but this machine itself.
        client_authorities: PEM file of the authorities whose client certificates are looked at (mTLS).
        client_certificates: Whether a client must show one.
        behind_proxy: That a proxy in front does TLS, so that plain HTTP may be spoken to other machines.
        shutdown: Seconds that requests under way have when the server is told to stop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8470, ge=0, le=65535)
    certificate: Path | None = None
    key: Path | None = None
    client_authorities: Path | None = None
    client_certificates: Literal["optional", "required"] = "optional"
    behind_proxy: bool = False
    shutdown: int = Field(default=30, ge=0)

    @model_validator(mode="after")
    def _check_listening(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("TLS needs both certificate and key")
        if self.client_authorities is not None and self.certificate is None:
            raise ValueError("client certificates need TLS: state certificate and key")
        if self.client_certificates == "required" and self.client_authorities is None:
            raise ValueError("to require client certificates, state client_authorities")
        if self.certificate is None and not self.behind_proxy and not is_loopback(self.host):
            raise ValueError(
                f"{self.host} can be reached by others, to whom keys and images would go in the open: state "
                "certificate and key, or behind_proxy: true"
            )
        return self


LISTENING_FILES = ("certificate", "key", "client_authorities")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_settings(path: Path, files: Sequence[str]) -> dict[str, Any]:
    """The mapping in a YAML file; the values of `files`, which may lie deeper ("policy.trust_file"), are relative to
    it.  Raises UserError when it is none."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name a settings file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML ({str(error).splitlines()[0]}): correct it") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is empty or no mapping of settings: see the example in the manual")
    for name in files:
        *outer, field = name.split(".")
        place = data
        for step in outer:
            place = place[step] if isinstance(place.get(step), dict) else {}
        if isinstance(place.get(field), str):
            place[field] = path.parent / place[field]
    return data


def make_settings(model: type[ModelT], values: Mapping[str, Any], name: str) -> ModelT:
    """Settings from what a user gave; `name` says where.  Raises UserError with one sentence for each mistake."""
    try:
        return model.model_validate(values)
    except UserError as error:  # of a key or a file that is named in them
        raise UserError(f"{name}: {error}") from None
    except ValidationError as error:
        raise UserError("\n".join(_explain(name, item["loc"], item["msg"]) for item in error.errors())) from None


def _explain(name: str, place: tuple[int | str, ...], message: str) -> str:
    field = ".".join(map(str, place))
    return f"{name}: {field + ': ' if field else ''}{message.removeprefix('Value error, ')}"
