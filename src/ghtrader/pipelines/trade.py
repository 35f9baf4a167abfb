"""``ghtrader trade``: the state that an account's gateway publishes, and commands to it."""

from __future__ import annotations

import uuid

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.core.messages import Command, CommandAnswer, ParamValue, Verb
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.strategy import parse_params
from ghtrader.ports.lock import Holder, gateway_key
from ghtrader.trading.commands.ways import AnyWay
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.views import StateReader

__all__ = ["CommandReport", "StateDocument", "StateWatch", "TradeStatus", "give_command"]


class TradeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An account as seen now. gateway: the process that trades it, None when none does. age_s: of the state.

    source: the medium that the state was read from; failed: media that could not be read, and why. state: None when there never was one.
    """

    account: str
    gateway: Holder | None
    age_s: float
    source: str
    failed: dict[str, str]
    state: StateDocument | None


class CommandReport(msgspec.Struct, frozen=True, kw_only=True):
    """A command, its answer, and the way that brought it (``socket``, ``redis``, ``mailbox``)."""

    account: str
    verb: Verb
    way: str
    answer: CommandAnswer


class StateWatch:
    """Looks at an account again and again; never sees it go backwards. Raises UsageError for what is no name of an account."""

    def __init__(self, services: Services, account: str) -> None:
        self._services, self._account = services, account
        self._reader: StateReader = services.trading().state_reader(account)

    def look(self) -> TradeStatus:
        """The account now."""
        seen = self._reader.read()
        return TradeStatus(
            account=self._account,
            gateway=self._services.trading().locks().holder(gateway_key(self._account)),
            age_s=round(seen.age_ns(self._services.clock.now_ns()) / 1e9, 3),
            source=seen.source,
            failed=seen.failed,
            state=seen.document,
        )

    def close(self) -> None:
        """Let go of every medium."""
        self._reader.close()


def give_command(
    services: Services,
    account: str,
    verb: str,
    *,
    actor: str,
    reason: str = "",
    confirm: str = "",
    symbol: str = "",
    lots: int = 0,
    params: tuple[str, ...] = (),
    command_id: str = "",
    timeout_s: float = 5.0,
) -> CommandReport:
    """Give a command and wait for its answer, at most ``timeout_s`` on each way: socket, Redis where there is one, mailbox.

    params: ``name=value``; of ``symbols``, names with commas between. Raises UsageError for a verb that does not exist, HaltedError
    when no answer comes (``reason`` gateway_away or outcome_unknown).
    """
    if verb not in set(Verb):
        raise UsageError(f"no command {verb!r}", hint=f"one of {', '.join(Verb)}")
    found: dict[str, ParamValue] = parse_params(params)
    if "symbols" in found:
        found["symbols"] = [name for name in str(found["symbols"]).split(",") if name]
    command = Command(
        command_id=command_id or uuid.uuid4().hex,
        account=account,
        verb=Verb(verb),
        actor=actor,
        ts_ns=services.clock.now_ns(),
        reason=reason,
        confirm=confirm,
        symbol=symbol,
        lots=lots,
        params=found,
    )
    ways = AnyWay(services.trading().command_ways(account))
    answer = ways.request(command, timeout_s)
    return CommandReport(account=account, verb=command.verb, way=ways.answered_by, answer=answer)
