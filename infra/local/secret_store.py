"""The secrets of one data folder: made at its first use, and kept, so that tokens, callbacks and
signed URLs from before a restart stay valid after it."""

import os
import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

FILE_NAME = "secrets.json"


class UnreadableSecrets(Exception):
    """The file is there and cannot be used; the text names it and nothing in it."""


def _token() -> str:
    return secrets.token_urlsafe(32)


class LocalSecrets(Struct, frozen=True, kw_only=True):
    """`store_port` is no secret but must last as long: signed URLs carry it. 0: none yet."""

    jwt_secret: str = msgspec.field(default_factory=_token)
    callback_secret: str = msgspec.field(default_factory=_token)
    store_access_key: str = msgspec.field(default_factory=lambda: secrets.token_hex(10))
    store_secret_key: str = msgspec.field(default_factory=_token)
    runpod_api_key: str = msgspec.field(default_factory=_token)
    runpod_worker_key: str = msgspec.field(default_factory=_token)
    store_port: int = 0

    def __repr__(self) -> str:
        return "LocalSecrets(***)"


def load_secrets(data_dir: Path) -> LocalSecrets:
    """Those of the folder, or new ones, not yet kept. Raises UnreadableSecrets."""
    path = data_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=LocalSecrets)
    except FileNotFoundError:
        return LocalSecrets()
    except (OSError, msgspec.MsgspecError) as error:
        reason = type(error).__name__
        raise UnreadableSecrets(f"{path} cannot be used ({reason}): repair or remove it") from None


def keep_secrets(data_dir: Path, kept: LocalSecrets) -> None:
    """Readable for this user alone, and whole or not there."""
    path = data_dir / FILE_NAME
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
