"""Pure parts of the adapter, without a client."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.core.errors import ProviderMaintenanceError, ProviderPermanentError, ProviderTransientError, RiskDenied
from ghtrader.core.instruments import OrderLimits
from ghtrader.core.orders import Offset, OrderKind, Side
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.ports.broker import BrokerPosition, OrderRequest, OrderState, split_close
from ghtrader.ports.live_feed import FeedEvent, FeedState, RecyclePolicy, feed_step
from ghtrader.ports.order_checks import QuoteFacts, check_order
from ghtrader.testing.fakes import FakeClock
from ghtrader.tq.library import SCRUBBED, scrub
from ghtrader.tq.links import LinkWatch
from ghtrader.tq.live import TqLiveFeed
from ghtrader.tq.order_words import insert_arguments, is_unanswered, order_of, position_of, request_of
from ghtrader.tq.pace import RebuildPace
from ghtrader.tq.session import Credentials, as_provider_error

NAN = float("nan")
NOTHING = BrokerPosition(symbol="SHFE.rb2510", long_today=0, long_history=0, short_today=0, short_history=0)
DECLARED = OrderLimits(min_lots=1, max_limit_lots=500, max_market_lots=0)
FACTS = QuoteFacts(price_tick=1.0, upper_limit=3200.0, lower_limit=2800.0)


def request(**changes: object) -> OrderRequest:
    fields = {
        "client_order_id": "a",
        "symbol": "SHFE.rb2510",
        "side": Side.BUY,
        "offset": Offset.OPEN,
        "lots": 1,
        "limit_price": 3000.0,
    }
    return OrderRequest(**{**fields, **changes})


# --- closing ---------------------------------------------------------------------------------------------------------------
def held(symbol: str = "SHFE.rb2510", **lots: int) -> BrokerPosition:
    fields = {"long_today": 0, "long_history": 0, "short_today": 0, "short_history": 0}
    return BrokerPosition(symbol=symbol, **{**fields, **lots})


@pytest.mark.parametrize(
    ("position", "side", "lots", "expected"),
    [
        (held(long_today=3, long_history=2), Side.SELL, 4, [(Offset.CLOSE, 2), (Offset.CLOSE_TODAY, 2)]),
        (held(long_today=3, long_history=2, long_history_frozen=2), Side.SELL, 4, [(Offset.CLOSE_TODAY, 3)]),
        (held(long_today=3, long_today_frozen=1), Side.SELL, 9, [(Offset.CLOSE_TODAY, 2)]),
        (held(short_today=1, short_history=5, short_history_frozen=4), Side.BUY, 9, [(Offset.CLOSE, 1), (Offset.CLOSE_TODAY, 1)]),
        (held("INE.sc2507", long_history=2), Side.SELL, 1, [(Offset.CLOSE, 1)]),
        (held("DCE.m2509", long_today=3, long_history=2, long_today_frozen=1), Side.SELL, 9, [(Offset.CLOSE, 4)]),
        (held("CZCE.SR509", short_today=2), Side.BUY, 1, [(Offset.CLOSE, 1)]),
        (held(), Side.SELL, 3, []),
        (held(long_today=1, long_today_frozen=2), Side.SELL, 3, []),
    ],
)
def test_closing_takes_only_what_is_free(position: BrokerPosition, side: Side, lots: int, expected: list) -> None:
    assert split_close(position, side, lots) == expected


@settings(deadline=None)
@given(
    today=st.integers(0, 9),
    history=st.integers(0, 9),
    frozen=st.integers(0, 9),
    old_frozen=st.integers(0, 9),
    lots=st.integers(0, 30),
)
def test_pieces_never_exceed_what_is_asked_or_free(today: int, history: int, frozen: int, old_frozen: int, lots: int) -> None:
    position = held(
        long_today=today, long_history=history, long_today_frozen=min(frozen, today), long_history_frozen=min(old_frozen, history)
    )
    pieces = split_close(position, Side.SELL, lots)
    free = sum(position.closable(Side.SELL))
    assert sum(count for _, count in pieces) == min(lots, free)
    for offset, count in pieces:
        assert check_order(request(side=Side.SELL, offset=offset, lots=count), FACTS, DECLARED, position) is None


# --- checks ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reason", "bad", "facts"),
    [
        ("symbol", request(symbol="KQ.m@SHFE.rb"), FACTS),
        ("order_size", request(lots=501), FACTS),
        ("order_size", request(lots=31), QuoteFacts(price_tick=1.0, upper_limit=3200.0, lower_limit=2800.0, max_lots=30)),
        ("order_size", request(lots=1), QuoteFacts(price_tick=1.0, upper_limit=3200.0, lower_limit=2800.0, min_lots=2)),
        ("price_tick", request(limit_price=3000.5), FACTS),
        ("price_tick", request(limit_price=NAN), FACTS),
        ("price_tick", request(limit_price=-float("inf")), FACTS),
        ("price_tick", request(), QuoteFacts(price_tick=NAN, upper_limit=3200.0, lower_limit=2800.0)),
        ("price_tick", request(), QuoteFacts(price_tick=0.0, upper_limit=3200.0, lower_limit=2800.0)),
        ("no_limits", request(), QuoteFacts(price_tick=1.0, upper_limit=NAN, lower_limit=2800.0)),
        ("no_limits", request(), QuoteFacts(price_tick=1.0, upper_limit=3200.0, lower_limit=NAN)),
        ("price_limit", request(limit_price=3201.0), FACTS),
        ("price_limit", request(limit_price=2799.0), FACTS),
        ("close_volume", request(side=Side.SELL, offset=Offset.CLOSE), FACTS),
    ],
)
def test_every_reason_to_refuse(reason: str, bad: OrderRequest, facts: QuoteFacts) -> None:
    with pytest.raises(RiskDenied) as denied:
        check_order(bad, facts, DECLARED, NOTHING)
    assert denied.value.context["reason"] == reason


def test_limits_themselves_are_prices_and_ticks_of_a_fraction_are_no_trap() -> None:
    for price in (2800.0, 3200.0):
        check_order(request(limit_price=price), FACTS, DECLARED, NOTHING)
    gold = QuoteFacts(price_tick=0.02, upper_limit=800.0, lower_limit=700.0)
    check_order(request(symbol="SHFE.au2508", limit_price=0.02 * 36_123), gold, DECLARED, NOTHING)


# --- words -----------------------------------------------------------------------------------------------------------------
def order(**changes: object) -> SimpleNamespace:
    fields = {
        "status": "ALIVE", "volume_left": 2, "volume_orign": 2, "exchange_order_id": "1", "last_msg": "未成交", "insert_date_time": 1,
        "time_condition": "GFD", "volume_condition": "ANY", "exchange_id": "SHFE", "instrument_id": "rb2510", "direction": "SELL",
        "offset": "CLOSETODAY", "limit_price": 3000.0,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


@pytest.mark.parametrize(
    ("found", "known", "simulated", "state"),
    [
        (order(), True, False, OrderState.WORKING),
        (order(), False, False, OrderState.UNKNOWN),
        (order(exchange_order_id=""), True, False, OrderState.SENT),
        (order(status="FINISHED", volume_left=0), False, False, OrderState.FILLED),
        (order(status="FINISHED", exchange_order_id="", last_msg="anything"), True, False, OrderState.REJECTED),
        (order(status="FINISHED", last_msg="已撤单"), True, False, OrderState.CANCELLED),
        (order(status="FINISHED", last_msg="已撤单报单被拒绝 SHFE:x"), True, False, OrderState.REJECTED),
        (order(status="FINISHED", volume_left=1, last_msg="已撤单"), True, False, OrderState.CANCELLED),
        (order(status="FINISHED", last_msg="开仓资金不足"), True, True, OrderState.REJECTED),
        (order(status="FINISHED", last_msg="已撤单报单已提交"), True, True, OrderState.CANCELLED),
    ],
)
def test_states_come_from_what_the_exchange_said(found: SimpleNamespace, known: bool, simulated: bool, state: OrderState) -> None:
    assert order_of(request(), found, is_known=known, simulated=simulated).state == state


def test_an_order_of_another_process_is_read_back_as_it_was_sent() -> None:
    for kind, words in {
        OrderKind.GFD: ("GFD", "ANY"),
        OrderKind.FAK: ("IOC", "ANY"),
        OrderKind.FOK: ("IOC", "ALL"),
    }.items():
        sent = request(side=Side.SELL, offset=Offset.CLOSE_TODAY, lots=2, kind=kind)
        assert request_of("a", order(time_condition=words[0], volume_condition=words[1])) == sent
        assert insert_arguments(sent)["advanced"] == {OrderKind.GFD: None, OrderKind.FAK: "FAK", OrderKind.FOK: "FOK"}[kind]
    assert is_unanswered(order(exchange_order_id="", insert_date_time=0))
    assert not is_unanswered(order(exchange_order_id="", insert_date_time=5))
    raw = dict.fromkeys(("pos_long_today", "pos_long_his", "pos_short_today", "pos_short_his"), 1)
    frozen = {f"volume_{side}_frozen_{age}": NAN for side in ("long", "short") for age in ("today", "his")}
    assert position_of("SHFE.rb2510", SimpleNamespace(**raw, **frozen)).closable(Side.SELL) == (1, 1)


# --- sessions --------------------------------------------------------------------------------------------------------------
@settings(deadline=None)
@given(st.lists(st.sampled_from(list(FeedEvent)), max_size=30))
def test_no_sequence_of_events_reopens_a_closed_feed_or_makes_a_dead_one_live_without_data(events: list[FeedEvent]) -> None:
    state, closed = FeedState.CONNECTING, False
    for event in events:
        before, state = state, feed_step(state, event)
        closed = closed or event == FeedEvent.CLOSE
        assert (state == FeedState.CLOSED) == closed
        if state == FeedState.LIVE and before != FeedState.LIVE:
            assert event == FeedEvent.DATA
            assert before != FeedState.REBUILDING
        if before == FeedState.REBUILDING and not closed:
            assert state == (FeedState.CONNECTING if event == FeedEvent.REBUILT else FeedState.REBUILDING)


def test_rebuilding_waits_longer_each_time_and_forgets_after_a_long_life() -> None:
    clock = FakeClock()
    pace, waits = RebuildPace(clock, first_s=1.0, longest_s=4.0, settled_s=100.0), []
    for _ in range(5):
        assert pace.is_ready
        pace.begin()
        waits.append(pace.left_s)
        clock.advance(pace.left_s)
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0]
    clock.advance(101)
    pace.begin()
    assert pace.left_s == 1.0


def test_a_second_connection_without_a_drop_is_told_and_every_notice_once() -> None:
    notify = {name: {"conn_id": "md", "code": code, "content": name} for name, code in {"a": 2019112901, "b": 2019112901}.items()}
    notify |= {"_path": {}, "c": {"conn_id": "td_0", "code": 2019112911}, "d": {"conn_id": "md", "code": 324, "content": "d"}}
    api, watch = SimpleNamespace(_data={"notify": notify}), LinkWatch("md")
    assert watch.events(api) == [FeedEvent.CONNECTED, FeedEvent.CONNECTED_AGAIN]
    assert watch.events(api) == []
    notify |= {"e": {"conn_id": "md", "code": 2019112910}, "f": {"conn_id": "md", "code": 2019112902}}
    assert watch.events(api) == [FeedEvent.DROPPED, FeedEvent.RESTORED]


def test_errors_of_the_client_are_told_apart() -> None:
    assert isinstance(as_provider_error("每日 19:00-19:30 为日常运维时间", what="x"), ProviderMaintenanceError)
    assert isinstance(as_provider_error("用户权限认证失败 (401,{})", what="x"), ProviderPermanentError)
    silent = as_provider_error(TimeoutError(), what="x")
    assert isinstance(silent, ProviderTransientError)
    assert silent.message == "x: TimeoutError"


def test_what_would_take_over_a_program_is_removed_and_nothing_else() -> None:
    environment = {**dict.fromkeys(SCRUBBED, "x"), "TQ_MD_URL": "ws://x", "TQ_ACCOUNT_ID_MAIN": "1"}
    assert sorted(scrub(environment)) == sorted(SCRUBBED)
    assert environment == {"TQ_MD_URL": "ws://x", "TQ_ACCOUNT_ID_MAIN": "1"}


# --- holes -----------------------------------------------------------------------------------------------------------------
class StubSession:
    """What the feed reads of a client: a tick serial that a test fills, and what was sent."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sent: list[dict] = []
        self.data: dict = {"ticks": {"X": {"last_id": -1, "data": {}}}, "charts": {}, "mdhis_more_data": False, "notify": {}}
        self.api = SimpleNamespace(
            _data=self.data,
            _send_chan=SimpleNamespace(send_nowait=self.sent.append),
            get_tick_serial=lambda *a, **k: None,
            limit=None,
        )

    def wait(self, deadline: object) -> None:
        """Nothing comes by itself, time passes."""
        self.clock.advance(1.0)

    def close(self) -> None:
        """Nothing to close."""

    def tell(self, *ids: int, last: int | None = None) -> None:
        rows = {str(n): {"datetime": n + 1, **dict.fromkeys(MARKET_COLUMNS, float(n))} for n in ids}
        self.data["ticks"]["X"]["data"].update(rows)
        self.data["ticks"]["X"]["last_id"] = max(ids) if last is None else last

    def answer(self) -> None:
        request = next(item for item in reversed(self.sent) if item["ins_list"])
        self.data["charts"][request["chart_id"]] = {"ready": True, "left_id": request["left_kline_id"]}


def stub_feed(tmp_path: Path, **options: object) -> tuple[TqLiveFeed, StubSession]:
    clock = FakeClock(1)
    feed = TqLiveFeed(Credentials("a", "b"), tmp_path, ("X",), clock, **{"in_session": lambda: False, **options})
    session = StubSession(clock)
    feed._session = session  # type: ignore[assignment]
    return feed, session


def ids_of(feed: TqLiveFeed) -> list[int]:
    return [tick.identity for tick in feed.poll(0.0)]


def test_a_hole_is_asked_for_and_ticks_behind_it_wait(tmp_path: Path) -> None:
    feed, session = stub_feed(tmp_path)
    session.tell(3, 4, 5)
    assert ids_of(feed) == [5]
    session.tell(9, 10)
    assert ids_of(feed) == []
    (asked,) = session.sent
    assert (asked["left_kline_id"], asked["view_width"], asked["ins_list"]) == (6, 3, "X")
    assert ids_of(feed) == []
    session.tell(6, 7, 8, last=10)
    session.answer()
    assert ids_of(feed) == [6, 7, 8, 9, 10]
    assert session.sent[-1]["ins_list"] == ""
    assert (feed.status.lost, feed.next_ids) == (0, {"X": 11})


@settings(deadline=None)
@given(kept=st.sets(st.integers(6, 14)))
def test_what_the_provider_no_longer_has_is_counted_exactly(tmp_path_factory: pytest.TempPathFactory, kept: set[int]) -> None:
    feed, session = stub_feed(tmp_path_factory.getbasetemp())
    session.tell(5)
    found = ids_of(feed)
    session.tell(15)
    for _ in range(36):
        found += ids_of(feed)
        if feed._holes:
            session.tell(*kept, 15)
            session.answer()
    assert found == [5, *sorted(kept), 15]
    assert feed.status.lost == 9 - len(kept)


def test_a_feed_that_goes_on_where_another_ended_asks_for_what_lies_between(tmp_path: Path) -> None:
    feed, session = stub_feed(tmp_path, begin={"X": 2}, recycling=RecyclePolicy(most_ticks=10**9))
    session.tell(6, 7)
    assert ids_of(feed) == []
    session.tell(2, 3, 4, 5, last=7)
    session.answer()
    assert ids_of(feed) == [2, 3, 4, 5, 6, 7]


def test_silence_before_a_session_does_not_count_and_in_one_it_does(tmp_path: Path) -> None:
    is_open = [False]
    feed, session = stub_feed(tmp_path, in_session=lambda: is_open[0], silence_s=5.0, recycling=RecyclePolicy(quiet_s=10**9))
    session.tell(1)
    assert ids_of(feed) == [1]
    for _ in range(100):
        feed.poll(0.0)
    is_open[0] = True
    for _ in range(4):
        feed.poll(0.0)
    assert (feed.status.rebuilds, feed.status.state) == (0, FeedState.LIVE)
    feed.poll(0.0)
    assert (feed.status.rebuilds, feed.status.state) == (1, FeedState.REBUILDING)
    assert "no tick for 5 s in session" in feed.status.message
