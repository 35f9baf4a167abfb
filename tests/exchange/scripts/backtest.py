"""TqBacktest over a roll of the main contract, in bars or ticks, with a target task that follows. Prints one JSON line."""

import json
import sys
from datetime import date

from tqsdk import TargetPosTask, TqApi, TqAuth, TqBacktest, TqSim
from tqsdk.exceptions import BacktestFinished

MAIN = "KQ.m@SHFE.rb"
found = {"underlying": [], "updates": 0}
test = TqBacktest(start_dt=date(2025, 6, 5), end_dt=date(2025, 6, 9))
api = TqApi(TqSim(), backtest=test, auth=TqAuth("demo", "secret"), debug=False, disable_print=True)
quote = api.get_quote(MAIN)
serial = api.get_kline_serial(MAIN, 60, 20) if sys.argv[1] == "kline" else api.get_tick_serial(MAIN, 20)
days = api.get_kline_serial(MAIN, 86400, 5)
contract, task = "", None
try:
    while True:
        api.wait_update()
        found["updates"] += 1
        if api.is_changing(quote, "underlying_symbol") or not contract:
            if task is not None:
                task.set_target_volume(0)
            contract = quote.underlying_symbol
            found["underlying"].append([quote.datetime[:16], contract])
            task = TargetPosTask(api, contract)
            task.set_target_volume(1)
except BacktestFinished:
    found["finished"] = True
found["positions"] = {symbol: position.pos for symbol, position in api.get_position().items()}
found["days"] = [row.volume for row in days.itertuples() if row.datetime]
api.close()
print(json.dumps(found))
