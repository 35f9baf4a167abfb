"""SIGTERM and SIGINT as a wish: a process that serves ends what it is doing, then itself."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

__all__ = ["StopWish"]


class StopWish:
    """``received`` is the signal that asked for the end, 0 while none did; what is being done is done first.

    insist: a second signal raises KeyboardInterrupt in what is being done, for code of others that may never end.
    """

    def __init__(self, *, insist: bool = False) -> None:
        self.received = 0
        self._insist = insist

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.received and self._insist:
            raise KeyboardInterrupt
        self.received = number

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle both inside the block; belongs to the main thread."""
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
