"""The peer of the simulator benchmark: hftbacktest (extra ``bench``) on the same snapshots, turned into its events.

A snapshot becomes one depth event for each level that changed and one trade event for the volume since the last one,
as its documentation asks of feeds without single orders. The strategy is the one that our simulator runs in the same
benchmark: every ``every`` snapshots the open order is cancelled and one lot joins the best bid or ask in turn.
Conversion is not timed. Book: ROIVectorMarketDepth, the faster of the two it offers; queue: risk adverse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np

from ghtrader.data.day_ticks import NO_PRICE, DayTicks

__all__ = ["prepare"]

DEPTH, TRADE = 1, 2
EXCHANGE, LOCAL = 1 << 31, 1 << 30
BUY, SELL = 1 << 29, 1 << 28
BOTH = EXCHANGE | LOCAL
EVENTS_PER_ROW = 22


@nb.njit(cache=True)
def _levels(out: Any, used: int, row: int, ts: Any, prices: Any, sizes: Any, side: int) -> int:
    """Append depth events of one side: vanished levels with size 0, then changed or new ones."""
    if row > 0:
        for level in range(prices.shape[1]):
            old = prices[row - 1, level]
            if old == NO_PRICE:
                continue
            if not np.any(prices[row] == old):
                out[used]["ev"], out[used]["px"], out[used]["qty"] = DEPTH | BOTH | side, float(old), 0.0
                out[used]["exch_ts"] = out[used]["local_ts"] = ts[row]
                used += 1
    for level in range(prices.shape[1]):
        price = prices[row, level]
        if price == NO_PRICE:
            continue
        if row > 0:
            same = False
            for other in range(prices.shape[1]):
                if prices[row - 1, other] == price and sizes[row - 1, other] == sizes[row, level]:
                    same = True
            if same:
                continue
        out[used]["ev"], out[used]["px"], out[used]["qty"] = DEPTH | BOTH | side, float(price), float(sizes[row, level])
        out[used]["exch_ts"] = out[used]["local_ts"] = ts[row]
        used += 1
    return used


@nb.njit(cache=True)
def _events(out: Any, ts: Any, bid_px: Any, bid_sz: Any, ask_px: Any, ask_sz: Any, last_px: Any, volume: Any) -> int:
    used = 0
    for row in range(len(ts)):
        traded = volume[row] - volume[row - 1] if row > 0 else 0.0
        if traded > 0 and last_px[row] != NO_PRICE:
            side = BUY if last_px[row] >= ask_px[row - 1, 0] else SELL
            out[used]["ev"], out[used]["px"], out[used]["qty"] = TRADE | BOTH | side, float(last_px[row]), traded
            out[used]["exch_ts"] = out[used]["local_ts"] = ts[row]
            used += 1
        used = _levels(out, used, row, ts, bid_px, bid_sz, BUY)
        used = _levels(out, used, row, ts, ask_px, ask_sz, SELL)
    return used


@nb.njit
def _run(hbt: Any, steps_ns: Any, every: int) -> int:
    orders, order_id = 0, 0
    for step in range(len(steps_ns)):
        if hbt.elapse(steps_ns[step]) != 0:
            break
        if step % every:
            continue
        hbt.clear_inactive_orders(0)
        if order_id > 0 and order_id in hbt.orders(0):
            hbt.cancel(0, order_id, False)
        depth = hbt.depth(0)
        order_id = orders + 1
        if orders % 2 == 0:
            hbt.submit_buy_order(0, order_id, depth.best_bid, 1.0, 0, 0, False)
        else:
            hbt.submit_sell_order(0, order_id, depth.best_ask, 1.0, 0, 0, False)
        orders += 1
    return orders


def prepare(ticks: DayTicks, *, every: int, latency_ns: int) -> Callable[[], float]:
    """Convert the ticks once; the returned call runs one backtest over them and gives the number of orders."""
    from hftbacktest import BacktestAsset, ROIVectorMarketDepthBacktest
    from hftbacktest.types import event_dtype

    out = np.zeros(len(ticks) * EVENTS_PER_ROW, dtype=event_dtype)
    used = _events(out, ticks.ts_ns, ticks.bid_px, ticks.bid_sz, ticks.ask_px, ticks.ask_sz, ticks.last_px, ticks.volume)
    events = out[:used].copy()
    steps_ns = np.diff(ticks.ts_ns)
    prices = ticks.bid_px[ticks.bid_px != NO_PRICE]
    low, high = float(prices.min() - 50), float(prices.max() + 100)

    def run() -> float:
        asset = (
            BacktestAsset()
            .data(events)
            .linear_asset(1.0)
            .constant_latency(latency_ns, latency_ns)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(1.0)
            .lot_size(1.0)
            .roi_lb(low)
            .roi_ub(high)
        )
        backtest = ROIVectorMarketDepthBacktest([asset])
        orders = _run(backtest, steps_ns, every)
        backtest.close()
        return float(orders)

    return run
