"""Files appear whole or not at all: written beside the target, synced, then renamed over it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ghtrader.core.errors import StoreError

__all__ = ["TEMPORARY_SUFFIX", "remove_leftovers", "replace_at_once", "sync_folder", "write_atomically"]

TEMPORARY_SUFFIX = ".writing"


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> int:
    """Remove temporary files that killed writers left in ``folder``; the caller holds the folder's write lock."""
    count = 0
    for path in folder.glob(f"*{TEMPORARY_SUFFIX}"):
        path.unlink(missing_ok=True)
        count += 1
    return count


def replace_at_once(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` whole but not durable, for mirrors of what is kept elsewhere; one writer. Raises OSError.

    Costs no sync: after a power cut the file may be missing or empty.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    temporary.write_bytes(content)
    temporary.replace(path)


def write_atomically(path: Path, content: bytes | Callable[[Path], None]) -> None:
    """Write ``content`` (bytes, or a function that writes to the path it is given) to ``path``, whole and durable.

    The folder must exist. Readers see the old file or the new one. When anything fails (disk full, Ctrl-C), the
    temporary file is removed and the old file stands; a medium that fails raises StoreError.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX)
    except OSError as error:
        raise StoreError(f"cannot write in {path.parent}: {error.strerror}", path=str(path)) from error
    temporary = Path(name)
    try:
        if isinstance(content, bytes):
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        else:
            os.close(handle)
            content(temporary)
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        hint = "free some space, then run the same command again: nothing was half-written"
        raise StoreError(f"cannot write {path}: {error.strerror or error}", hint=hint, path=str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
