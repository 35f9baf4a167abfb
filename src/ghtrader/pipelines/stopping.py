"""SIGTERM and SIGINT as a wish: a process that serves ends what it is doing, then itself."""

from __future__ import annotations

import contextlib
import signal
import threading
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
        """Handle both inside the block. In any other than the main thread nothing is: Python hands signals to that one alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
