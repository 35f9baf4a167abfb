"""Giving a command by whichever way leads to the gateway: one after another, until there is an answer.

Every way carries the same envelope, and the gateway applies an id once, so that a command may be sent again by another way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ghtrader.core.errors import GhtraderError, HaltedError, StoreError
from ghtrader.core.messages import Command, CommandAnswer
from ghtrader.ports.bus import CommandClient

__all__ = ["AnyWay", "Way"]

Way = tuple[str, Callable[[], CommandClient]]


class AnyWay:
    """`ports.bus.CommandClient` over several: the first that brings an answer, in the order given. ``answered_by`` names it.

    A way is opened when its turn comes.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = tuple(ways)
        self.answered_by = ""

    def request(self, command: Command, timeout_s: float) -> CommandAnswer:
        """Send a command and wait for its answer, at most so long on each way.

        Raises HaltedError when none comes: ``reason`` gateway_away, or outcome_unknown when a gateway has taken the command;
        ``ways`` says what became of it on each way.
        """
        failed: dict[str, str] = {}
        reason = "gateway_away"
        for name, opened in self._ways:
            try:
                client = opened()
                try:
                    answer = client.request(command, timeout_s)
                finally:
                    client.close()
            except (HaltedError, StoreError) as error:
                failed[name] = error.message
                if _is_taken(error):
                    reason = "outcome_unknown"
                    break
                continue
            self.answered_by = name
            return answer
        said = "; ".join(f"{name}: {message}" for name, message in failed.items()) or "there is no way to it"
        raise HaltedError(
            f"no answer of the gateway of account {command.account}: {said}",
            hint=f"ghtrader trade status --account {command.account}",
            reason=reason,
            command_id=command.command_id,
            ways=failed,
        )

    def close(self) -> None:
        """Nothing is held open."""


def _is_taken(error: GhtraderError) -> bool:
    return error.context.get("reason") == "outcome_unknown"
