"""Faults on purpose: a port whose calls fail, a disk that is full, a machine that stops between two disk operations."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

__all__ = ["Flaky", "Mortal", "PowerCut", "full_disk_at", "interrupt_at", "power_cut_at"]

#: What a writer does to the disk, in the order in which it calls them; each call is one step.
DISK_STEPS = ("fsync", "replace", "unlink")


class PowerCut(BaseException):
    """The machine stopped. Not an Exception, so that nothing handles it by accident."""


class Flaky:
    """Any port, with calls that fail: ``failures`` maps a method to the numbers (from 1) of the calls that raise.

    >>> class Port:
    ...     def ask(self) -> int:
    ...         return 7
    >>> port = Flaky(Port(), {"ask": [1]}, OSError("gone"))
    >>> try:
    ...     port.ask()
    ... except OSError as error:
    ...     print(error)
    gone
    >>> port.ask()
    7
    """

    def __init__(self, target: object, failures: Mapping[str, list[int]], error: BaseException) -> None:
        self._target, self._failures, self._error = target, failures, error
        self._calls: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._failures:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._calls[name] = self._calls.get(name, 0) + 1
            if self._calls[name] in self._failures[name]:
                raise self._error
            return found(*args, **kwargs)

        return call


class Mortal:
    """Any ports that change things, in a process that dies: `PowerCut` instead of the changing call number ``last_step``, and ever after.

    >>> mortal = Mortal(2)
    >>> names = mortal.over([], "append")
    >>> names.append("a")
    >>> try:
    ...     names.append("b")
    ... except PowerCut:
    ...     print(mortal.steps)
    2
    """

    def __init__(self, last_step: int) -> None:
        self.last_step = last_step
        self.steps = 0

    def over(self, port: object, *changing: str) -> Any:
        """The port, with its changing calls counted."""
        return _MortalPort(self, port, changing)


class _MortalPort:
    def __init__(self, life: Mortal, port: object, changing: tuple[str, ...]) -> None:
        self._life, self._port, self._changing = life, port, changing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._changing:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._life.steps += 1
            if self._life.steps >= self._life.last_step:
                raise PowerCut(name)
            return found(*args, **kwargs)

        return call


@contextlib.contextmanager
def _disk_steps(before: Callable[[str, int], None]) -> Iterator[Callable[[], int]]:
    """Call ``before(operation, step)`` ahead of every sync, rename and removal; gives a counter of steps so far."""
    count = 0

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            before(name, count)
            return real(*args, **kwargs)

        return step

    with contextlib.ExitStack() as stack:
        for name in DISK_STEPS:
            stack.enter_context(mock.patch.object(os, name, wrap(name, getattr(os, name))))
        yield lambda: count


@contextlib.contextmanager
def power_cut_at(step: int) -> Iterator[Callable[[], int]]:
    """From the ``step``-th disk operation on (counted from 1) nothing reaches the disk any more: every one raises PowerCut.

    Clean-up code therefore does not run either, as after ``kill -9``. Gives a counter of the steps begun; entered with a
    large ``step`` it counts how many a piece of work takes.
    """

    def before(_: str, count: int) -> None:
        if count >= step:
            raise PowerCut

    with _disk_steps(before) as counter:
        yield counter


@contextlib.contextmanager
def full_disk_at(step: int) -> Iterator[Callable[[], int]]:
    """The ``step``-th disk operation (sync or rename) and later ones fail with ENOSPC; removing files still works."""

    def before(name: str, count: int) -> None:
        if count >= step and name != "unlink":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with _disk_steps(before) as counter:
        yield counter


@contextlib.contextmanager
def interrupt_at(step: int) -> Iterator[Callable[[], int]]:
    """Ctrl-C arrives at the ``step``-th disk operation; clean-up code runs as it does for a person who presses it."""

    def before(_: str, count: int) -> None:
        if count == step:
            raise KeyboardInterrupt

    with _disk_steps(before) as counter:
        yield counter
