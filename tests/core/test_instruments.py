from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghtrader.core.errors import UnknownInstrumentError
from ghtrader.core.instruments import FeeRule, InstrumentSpec, OrderLimits, alias_of, is_continuous, parse_symbol, product_of

PRODUCTS = st.sampled_from(["SHFE.cu", "SHFE.rb", "INE.sc", "CZCE.TA"])
MONTHS = st.tuples(st.integers(10, 35), st.integers(1, 12)).map(lambda pair: f"{pair[0]:02}{pair[1]:02}")


@given(PRODUCTS, MONTHS)
def test_a_contract_has_its_product_and_its_month(product: str, month: str) -> None:
    symbol = parse_symbol(product + month)
    assert (symbol.product, symbol.month, symbol.continuous) == (product, month, False)
    assert symbol.exchange == product.split(".", maxsplit=1)[0]


@given(PRODUCTS)
def test_an_alias_leads_back_to_its_product(product: str) -> None:
    assert product_of(alias_of(product)) == product
    assert is_continuous(alias_of(product))
    assert not is_continuous(product)


def test_a_month_of_three_digits_is_one_of_the_zhengzhou_exchange() -> None:
    assert parse_symbol("CZCE.TA509").month == "509"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rb2510",
        "SHFE",
        "SHFE.",
        "SHFE.2510",
        "SHFE.rb2513",
        "SHFE.rb2500",
        "SHFE.rb25",
        "KQ.m@SHFE.rb2510",
        "KQ.m@rb",
        "SHFE.rb2510 ",
    ],
)
def test_what_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(UnknownInstrumentError, match="not a symbol"):
        parse_symbol(text)


def test_a_spec_knows_its_tick_value_and_whether_market_orders_exist() -> None:
    spec = InstrumentSpec(
        symbol="SHFE.au2006",
        product="SHFE.au",
        exchange="SHFE",
        trading_day="2020-03-02",
        price_tick=0.02,
        multiplier=1000.0,
        fee=FeeRule(open_cny=10.0),
        margin_rate=0.05,
        limits=OrderLimits(min_lots=1, max_limit_lots=500, max_market_lots=0),
        sources={},
    )
    assert spec.tick_value_cny == pytest.approx(20.0)
    assert not spec.has_market_orders
