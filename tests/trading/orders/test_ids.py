"""Ids: short, unique over restarts, and the same for the same thing."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ghtrader.trading.orders import OrderIds, external_order_id, parse_order_id, synthetic_trade_id
from ghtrader.trading.orders.ids import MOST_ID_LENGTH

DAYS = st.dates().map(lambda day: day.isoformat()).filter(lambda day: day > "2000")


@given(account=st.text(min_size=1), day=DAYS, epoch=st.integers(0, 36**5 - 1), count=st.integers(0, 36**6 - 2))
def test_an_id_is_short_plain_and_says_where_it_is_from(account: str, day: str, epoch: int, count: int) -> None:
    ids = OrderIds(account=account, trading_day=day, epoch=epoch, count=count)
    name, after = ids.take()
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert len(name) <= MOST_ID_LENGTH
    parsed = parse_order_id(name)
    assert parsed is not None
    assert parsed[1:] == (epoch, count + 1)
    assert after.count == count + 1
    assert ids.take() == (name, after)
    assert ids.beyond(name) == after
    assert after.beyond(name) == after


def test_ids_never_meet_over_restarts_accounts_and_days() -> None:
    names = []
    for account in ("one", "two"):
        for day in ("2025-06-05", "2025-06-06"):
            for epoch in (1, 2):
                ids = OrderIds(account=account, trading_day=day, epoch=epoch)
                for _ in range(40):
                    name, ids = ids.take()
                    names.append(name)
    assert len(set(names)) == 320


def test_a_counter_goes_past_ids_of_its_own_account_and_epoch_only() -> None:
    ids = OrderIds(account="one", trading_day="2025-06-05", epoch=2, count=3)
    seen, _ = OrderIds(account="one", trading_day="2025-06-04", epoch=2, count=40).take()
    assert ids.beyond(seen).count == 41
    for other in (
        OrderIds(account="two", trading_day="2025-06-05", epoch=2, count=40),
        OrderIds(account="one", trading_day="2025-06-05", epoch=1, count=40),
    ):
        assert ids.beyond(other.take()[0]) == ids
    assert ids.beyond("PYSDK_insert_17") == ids
    assert ids.on_day("2025-06-06") == OrderIds(account="one", trading_day="2025-06-06", epoch=2, count=3)


def test_what_only_the_venue_knows_is_named_by_what_it_is() -> None:
    assert external_order_id("SHFE.rb2510", "1") == external_order_id("SHFE.rb2510", "1")
    assert len({external_order_id(symbol, number) for symbol in ("SHFE.rb2510", "SHFE.hc2510") for number in ("1", "2")}) == 4
    assert len(external_order_id("SHFE.rb2510", "1" * 99)) <= MOST_ID_LENGTH
    assert parse_order_id(external_order_id("SHFE.rb2510", "1")) is None
    assert len({synthetic_trade_id("a", before, lots) for before in (0, 1) for lots in (1, 2)}) == 4
