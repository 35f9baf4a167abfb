"""``ghtrader trade``: the state that an account's gateway publishes, and commands to it."""

from __future__ import annotations

import uuid
from typing import TypeVar

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.core.messages import LARGEST_INT, Command, CommandAnswer, ParamValue, Verb
from ghtrader.pipelines.services import Services
from ghtrader.pipelines.strategy import parse_params
from ghtrader.ports.lock import Holder, gateway_key, strategy_key
from ghtrader.trading.commands.ways import AnyWay
from ghtrader.trading.state.revision import PublishedDocument, StateDocument
from ghtrader.trading.strategy.report import StrategyDocument
from ghtrader.trading.views import SeenState, StateReader

__all__ = ["CommandReport", "StateDocument", "StateWatch", "StrategyStatus", "TradeStatus", "give_command"]

D = TypeVar("D", bound=PublishedDocument)


class StrategyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An account's strategy as seen now: fields as in `TradeStatus`."""

    process: Holder | None
    age_s: float
    source: str
    failed: dict[str, str]
    state: StrategyDocument | None


class TradeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An account as seen now. gateway: the process that trades it, None when none does. age_s: of the state, by this machine's clock.

    source: the medium that the state was read from; failed: media that could not be read, and why. state: None when there never was
    one. heard_s: how long before the state the gateway had last heard of its strategy, None when never.
    """

    account: str
    gateway: Holder | None
    age_s: float
    source: str
    failed: dict[str, str]
    state: StateDocument | None
    heard_s: float | None
    strategy: StrategyStatus


class CommandReport(msgspec.Struct, frozen=True, kw_only=True):
    """A command, its answer, and the way that brought it (``socket``, ``redis``, ``mailbox``)."""

    account: str
    verb: Verb
    way: str
    answer: CommandAnswer


class StateWatch:
    """Looks at an account again and again; never sees it go backwards. Raises UsageError for what is no name of an account."""

    def __init__(self, services: Services, account: str) -> None:
        media = services.trading()
        self._account, self._clock, self._locks = account, services.clock, media.locks()
        self._gateway: StateReader[StateDocument] = media.state_reader(account)
        self._strategy: StateReader[StrategyDocument] = media.strategy_reader(account)

    def look(self) -> TradeStatus:
        """The account now."""
        gateway, strategy = self._gateway.read(), self._strategy.read()
        return TradeStatus(
            account=self._account,
            gateway=self._locks.holder(gateway_key(self._account)),
            age_s=self._age_s(gateway),
            source=gateway.source,
            failed=gateway.failed,
            state=gateway.document,
            heard_s=None if gateway.document is None else _heard_s(gateway.document),
            strategy=StrategyStatus(
                process=self._locks.holder(strategy_key(self._account)),
                age_s=self._age_s(strategy),
                source=strategy.source,
                failed=strategy.failed,
                state=strategy.document,
            ),
        )

    def _age_s(self, seen: SeenState[D]) -> float:
        return round(seen.age_ns(self._clock.now_ns()) / 1e9, 3)

    def close(self) -> None:
        """Let go of every medium."""
        self._gateway.close()
        self._strategy.close()


def _heard_s(state: StateDocument) -> float | None:
    """Both stamps are the gateway's, so that the market's time is as good as any."""
    heard_ns = int(state.strategy.get("heard_ns") or 0)
    return round((state.updated_at - heard_ns) / 1e9, 3) if heard_ns else None


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
    huge = [name for name, value in found.items() if isinstance(value, int) and abs(value) > LARGEST_INT]
    if huge:
        raise UsageError(f"--param {huge[0]}: a number of more than 64 bits", hint="--param slices=3")
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
