"""What a TqSdk user does with a live market and three kinds of account, in one session. Prints one JSON line."""

import asyncio
import json
import time

import pandas as pd
from tqsdk import (
    TargetPosScheduler,
    TargetPosTask,
    TqAccount,
    TqApi,
    TqAuth,
    TqKq,
    TqMultiAccount,
    TqNotify,
    TqSim,
    ta,
)
from tqsdk.exceptions import TqRiskRuleError
from tqsdk.risk_rule import TqRuleOrderRateLimit

SYMBOL, MAIN = "SHFE.rb2510", "KQ.m@SHFE.rb"
found = {}
broker, kq, sim = TqAccount("simnow", "demo", "secret"), TqKq(), TqSim(init_balance=500_000)
api = TqApi(TqMultiAccount([broker, kq, sim]), auth=TqAuth("demo", "secret"), debug=False)
notices = TqNotify(api)


def until(ready, seconds=20):
    end = time.time() + seconds
    while not ready():
        if not api.wait_update(deadline=end) and time.time() >= end:
            raise TimeoutError(ready)


# --- quotes, serials
quote, main = api.get_quote_list([SYMBOL, MAIN])
found["underlying"] = main.underlying_symbol
found["trading_time"] = quote.trading_time["night"]
ticks = api.get_tick_serial(SYMBOL, 200)
main_ticks = api.get_tick_serial(MAIN, 10)
bars = {seconds: api.get_kline_serial(SYMBOL, seconds, 50) for seconds in (1, 60, 300, 86400)}
both = api.get_kline_serial([SYMBOL, MAIN], 60, 20)
begin = int(ticks.id.iloc[-1])
changes = {"tick": 0, "bar": 0}
while int(ticks.id.iloc[-1]) < begin + 150 or changes["tick"] < 3:  # a busy machine gets many ticks in one update
    api.wait_update()
    changes["tick"] += api.is_changing(ticks)
    changes["bar"] += api.is_changing(bars[60].iloc[-1], "datetime")
found["changes"] = changes
found["ids"] = [int(value) for value in ticks.id]
found["ticks"] = [[int(row.datetime), row.last_price, row.volume, row.ask_price5] for row in ticks.itertuples()]
found["bars"] = {
    str(seconds): [
        [int(row.datetime), row.open, row.high, row.low, row.close, row.volume, row.close_oi]
        for row in serial.itertuples()
        if row.datetime
    ]
    for seconds, serial in bars.items()
}
found["both_agree"] = bool((both.close == both.close1).all() and (both.id == both.id1).all())
found["main_is_the_contract"] = bool(main_ticks.last_price.iloc[-1] == ticks.last_price.iloc[-1])
bars[60]["ma"] = ta.MA(bars[60], 10)["ma"]
api.draw_text(bars[60], "here", x=-1, y=float(bars[60].close.iloc[-1]))
found["ma"] = bool(abs(bars[60]["ma"].iloc[-1] - bars[60].close.iloc[-10:].mean()) < 1e-6)
found["quote"] = {
    name: getattr(quote, name) for name in ("upper_limit", "lower_limit", "pre_settlement", "price_tick", "volume_multiple")
}

# --- orders with a broker's account
account, position = api.get_account(broker), api.get_position(SYMBOL, broker)


def order(direction, offset, lots, price, **more):
    sent = api.insert_order(SYMBOL, direction, offset, lots, price, account=broker, **more)
    until(lambda: sent.exchange_order_id or sent.status == "FINISHED")
    return sent


bought = order("BUY", "OPEN", 5, quote.ask_price1 + 20)
until(lambda: bought.status == "FINISHED")
found["bought"] = [bought.volume_left, position.pos_long_today, position.pos]
found["money"] = {
    "price": bought.trade_price,
    "margin": account.margin,
    "commission": account.commission,
    "position_profit": account.position_profit,
    "balance": account.balance,
    "available": account.available,
    "last": position.last_price if hasattr(position, "last_price") else quote.last_price,
    "open_price": position.open_price_long,
}
resting = order("BUY", "OPEN", 2, quote.lower_limit + 10)
found["resting"] = [resting.status, resting.is_online, resting.frozen_margin]
api.cancel_order(resting, broker)
until(lambda: resting.status == "FINISHED")
found["cancelled"] = [resting.volume_left, resting.last_msg, account.frozen_margin]
found["fok"] = order("BUY", "OPEN", 400, quote.lower_limit + 10, advanced="FOK").volume_left
found["fak"] = order("SELL", "OPEN", 1, quote.bid_price1 - 20, advanced="FAK").volume_left
refused = [
    order("BUY", "OPEN", 1, quote.ask_price1 + 0.5),
    order("BUY", "OPEN", 1, quote.upper_limit + 1),
    order("BUY", "OPEN", 501, quote.ask_price1),
    order("SELL", "CLOSE", 1, quote.bid_price1),
    order("SELL", "CLOSETODAY", 6, quote.bid_price1),
]
found["refused"] = [[item.is_error, item.last_msg] for item in refused]
closing = order("SELL", "CLOSETODAY", 5, quote.bid_price1 - 20)
until(lambda: closing.status == "FINISHED" and position.pos_long == 0)
found["trades"] = sorted([t.direction, t.offset, t.volume] for t in api.get_trade(account=broker).values())
order("BUY", "CLOSETODAY", 1, quote.ask_price1 + 20)
until(lambda: position.pos == 0)
found["flat"] = [
    account.margin,
    account.position_profit,
    round(account.balance - 10_000_000 - account.close_profit + account.commission, 6),
]

# --- targets, on every account
for name, held in (("broker", broker), ("kq", kq), ("sim", sim)):
    task, place = TargetPosTask(api, SYMBOL, account=held), api.get_position(SYMBOL, held)
    for lots in (4, -2, 0):
        task.set_target_volume(lots)
        until(lambda place=place, lots=lots: place.pos == lots)
    task.cancel()
    until(task.is_finished)
    found[name] = [place.pos, len(api.get_trade(account=held)) > 0]
plan = pd.DataFrame([[2, 3, "ACTIVE"], [2, 0, "ACTIVE"]], columns=["interval", "target_pos", "price"])
scheduler = TargetPosScheduler(api, SYMBOL, plan, account=broker)
until(scheduler.is_finished)
found["scheduler"] = scheduler.is_finished()

# --- risk rules, coroutines, notices
rule = TqRuleOrderRateLimit(api, 2, exchange_id="SHFE", account=broker)
api.add_risk_rule(rule)
try:
    for _ in range(5):
        api.insert_order(SYMBOL, "BUY", "OPEN", 1, quote.lower_limit, account=broker)
except TqRiskRuleError:
    found["risk"] = True
api.delete_risk_rule(rule)
seen = []


async def watch():
    async with api.register_update_notify(quote) as channel:
        async for _ in channel:
            seen.append(quote.datetime)
            if len(seen) >= 10:
                return
            await asyncio.sleep(0)


until(api.create_task(watch()).done)
found["watched"] = seen == sorted(seen)
found["notices"] = sorted({item["content"] for item in notices.get_notifies()})
found["stamp"] = quote.datetime
api.close()
print(json.dumps(found))
