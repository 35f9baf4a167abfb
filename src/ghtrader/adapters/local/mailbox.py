"""Commands as files, for when there is no server and no socket: ``in/`` is read by the gateway, ``out/`` holds its answers.

A file appears whole or not at all. The gateway moves a command to ``taken/`` before it looks at it and removes it once the answer
stands in ``out/``; what a dead gateway left in ``taken/`` its next run takes first. A sender who gives up takes his file back, if it was
not taken yet: nobody's old command is carried out hours later by surprise.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import msgspec

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import HaltedError, StoreError
from ghtrader.core.messages import Command, CommandAnswer
from ghtrader.data.atomic import replace_at_once, write_atomically
from ghtrader.ports.bus import Request
from ghtrader.ports.warm_path import Outcome, WarmReason

__all__ = ["LocalMailbox", "MailboxClient"]

IN, TAKEN, OUT = "in", "taken", "out"
#: Answers that nobody fetched are kept up to this number.
KEPT_ANSWERS = 1000
POLL_S = 0.02

_command = msgspec.json.Decoder(Command)
_answer = msgspec.json.Decoder(CommandAnswer)


class LocalMailbox:
    """`ports.command_source.CommandSource` on a folder, which is made when it is first looked at."""

    name = "mailbox"

    def __init__(self, folder: Path) -> None:
        self._in, self._taken, self._out = folder / IN, folder / TAKEN, folder / OUT
        self._is_ready = False
        self._outcomes: list[Outcome] = []
        self.unreadable = 0

    def receive(self) -> list[Request]:
        """Commands in order of their files' names, which begin with the time."""
        found: list[Request] = []
        try:
            if not self._is_ready:
                for folder in (self._in, self._taken, self._out):
                    folder.mkdir(parents=True, exist_ok=True)
                self._is_ready = True
                found += self._read(_files(self._taken))
            taken = []
            for path in _files(self._in):
                with contextlib.suppress(FileNotFoundError):  # taken back meanwhile
                    taken.append(path.replace(self._taken / path.name))
            found += self._read(taken)
        except OSError as error:
            self._is_ready = False
            self._tell(f"cannot read {self._in}: {error.strerror or error}")
        else:
            self._tell()
        return found

    def _read(self, paths: list[Path]) -> list[Request]:
        found = []
        for path in paths:
            try:
                found.append(Request(command=_command.decode(path.read_bytes()), source=f"{self.name}:{path.name}"))
            except ValueError:  # no JSON, no command, or no UTF-8
                self.unreadable += 1
                path.unlink()
        return found

    def answer(self, source: str, answer: CommandAnswer) -> None:
        """Put the answer, then let the command go."""
        way, _, name = source.partition(":")
        if way != self.name:
            return
        try:
            replace_at_once(self._out / name, msgspec.json.encode(answer))
            (self._taken / name).unlink(missing_ok=True)
            self._prune()
        except OSError as error:
            self._tell(f"cannot answer in {self._out}: {error.strerror or error}")

    def _prune(self) -> None:
        answers = _files(self._out)
        for path in answers[: max(0, len(answers) - KEPT_ANSWERS)]:
            path.unlink(missing_ok=True)

    def _tell(self, message: str = "") -> None:
        self._outcomes = [*self._outcomes[-99:], Outcome(WarmReason.MAILBOX_FAILED, not message, message)]

    def outcomes(self) -> list[Outcome]:
        """What became of reading and answering."""
        found, self._outcomes = self._outcomes, []
        return found

    def close(self) -> None:
        """Nothing is held open."""


def _files(folder: Path) -> list[Path]:
    """By name; a folder that somebody put there is none of ours."""
    return sorted(path for path in folder.glob("*.json") if path.is_file())


class MailboxClient:
    """`ports.bus.CommandClient` on the folder of a `LocalMailbox`; works while no gateway does: the command waits for its answer.

    keep: leave a command that nobody took in time for the gateway's next start, instead of taking it back.
    """

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        self._in, self._taken, self._out = folder / IN, folder / TAKEN, folder / OUT
        self._keep = keep

    def request(self, command: Command, timeout_s: float) -> CommandAnswer:
        """Lay the command down and wait for its answer. Raises HaltedError (``reason`` gateway_away, or outcome_unknown when it was
        taken and not answered), StoreError when the folder cannot be written.
        """
        name = f"{command.ts_ns:020d}-{hashlib.sha256(command.command_id.encode()).hexdigest()[:16]}.json"
        try:
            self._in.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {self._in}: {error.strerror or error}", path=str(self._in)) from error
        write_atomically(self._in / name, msgspec.json.encode(command))
        deadline = Deadline(timeout_s)
        while True:
            answer = self._fetch(name)
            if answer is not None:
                return answer
            if deadline.passed:
                break
            deadline.pause(POLL_S)
        raise self._away(command, name, timeout_s)

    def _fetch(self, name: str) -> CommandAnswer | None:
        try:
            answer = _answer.decode((self._out / name).read_bytes())
        except FileNotFoundError:
            return None
        (self._out / name).unlink(missing_ok=True)
        return answer

    def _away(self, command: Command, name: str, timeout_s: float) -> HaltedError:
        waited = f"the gateway of account {command.account} did not answer in {timeout_s:g} s"
        reason = "gateway_away"
        if self._keep:
            left = "the command waits for it"
        else:
            try:
                (self._in / name).unlink()
                left = "the command was taken back and is not carried out"
            except FileNotFoundError:
                reason, left = "outcome_unknown", "it has taken the command, and may have carried it out"
        hint = f"ghtrader gateway run --account {command.account}"
        return HaltedError(f"{waited}: {left}", hint=hint, reason=reason, command_id=command.command_id)

    def close(self) -> None:
        """Nothing is held open."""
