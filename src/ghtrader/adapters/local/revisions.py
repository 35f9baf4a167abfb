"""Reserved revisions as a file with the next free number."""

from __future__ import annotations

from pathlib import Path

from ghtrader.core.errors import StoreError
from ghtrader.data.atomic import write_atomically

__all__ = ["LocalRevisions"]


class LocalRevisions:
    """`ports.revisions.RevisionStore` in the file ``path``, whose folder is made when it is not there.

    A file that holds no number counts as none: the caller's ``least`` is what readers may have seen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def reserve(self, count: int, least: int) -> int:
        """Write the number behind the block, then give the block."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            free = int(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            free = 1
        except OSError as error:
            raise StoreError(f"cannot read {self._path}: {error.strerror or error}", path=str(self._path)) from error
        first = max(free, least, 1)
        write_atomically(self._path, str(first + count).encode())
        return first
