"""The state of an account as a file: replaced at once, never half-written. Not synced: it mirrors what the journal can tell anew."""

from __future__ import annotations

import os
from pathlib import Path

from ghtrader.core.errors import StoreError
from ghtrader.data.atomic import replace_at_once
from ghtrader.ports.warm_path import Outcome, WarmReason

__all__ = ["LocalStateFile"]

NAME = "state.json"


class LocalStateFile:
    """`ports.state_sink.StateSink` and `StateSource`: the file ``file_name`` in ``folder``, which is made by the first `put`."""

    name = "file"

    def __init__(self, folder: Path, file_name: str = NAME) -> None:
        self._path = folder / file_name
        self._outcomes: list[Outcome] = []

    def put(self, revision: int, content: bytes) -> None:
        """Replace the file."""
        del revision
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_at_once(self._path, content)
        except OSError as error:
            message = f"cannot write {self._path}: {error.strerror or error}"
            self._outcomes.append(Outcome(WarmReason.FILE_STATE_WRITE_FAILED, False, message))
        else:
            self._outcomes.append(Outcome(WarmReason.FILE_STATE_WRITE_FAILED, True))

    def outcomes(self) -> list[Outcome]:
        """What became of the writes."""
        found, self._outcomes = self._outcomes, []
        return found

    def read(self) -> bytes | None:
        """The file's content."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self._path}: {error.strerror or error}", path=os.fspath(self._path)) from error

    def close(self) -> None:
        """Nothing is held open."""
