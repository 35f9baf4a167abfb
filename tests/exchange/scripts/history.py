"""Queries, calendar and history downloads of a TqSdk user. Prints one JSON line."""

import csv
import json
import sys
import time
from contextlib import closing
from datetime import date, datetime
from zoneinfo import ZoneInfo

from tqsdk import TqApi, TqAuth
from tqsdk.tools import DataDownloader

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST, SECOND, MAIN = "SHFE.rb2510", "SHFE.rb2601", "KQ.m@SHFE.rb"
found = {}


def at(*parts):
    return datetime(*parts, tzinfo=SHANGHAI)


with closing(TqApi(auth=TqAuth("demo", "secret"))) as api:
    found["futures"] = api.query_quotes(ins_class="FUTURE", exchange_id="SHFE", expired=False, has_night=True)
    found["continuous"] = api.query_cont_quotes(exchange_id="SHFE", product_id="rb")
    found["options"] = api.query_options(FIRST)
    info = api.query_symbol_info([FIRST, MAIN])
    found["info"] = [list(info.instrument_id), list(info.volume_multiple), info.underlying_symbol[1]]
    calendar = api.get_trading_calendar(date(2025, 5, 30), date(2025, 6, 6))
    found["calendar"] = [bool(value) for value in calendar.trading]
    found["table"] = list(api.query_his_cont_quotes([MAIN], n=2)[MAIN])
    live = api.get_kline_serial(FIRST, 60, 10)
    before = [int(value) for value in live.id]
    ticks = api.get_tick_data_series(FIRST, at(2025, 6, 4, 20), at(2025, 6, 5, 16))
    found["ticks"] = [[int(row.id), int(row.datetime), row.last_price, row.volume, row.ask_volume5] for row in ticks.itertuples()]
    bars = api.get_kline_data_series(FIRST, 60, at(2025, 6, 4, 20), at(2025, 6, 5, 16))
    found["bars"] = [[int(row.datetime), row.open, row.high, row.low, row.close, row.volume] for row in bars.itertuples()]
    days = api.get_kline_data_series(MAIN, 86400, date(2025, 6, 1), date(2025, 6, 30))
    found["days"] = [[row.close, row.volume] for row in days.itertuples()]
    found["nothing"] = len(api.get_tick_data_series(FIRST, at(2020, 1, 2), at(2020, 1, 3)))
    found["live_unmoved"] = [int(value) for value in live.id] == before
    jobs = {
        "ticks": DataDownloader(api, FIRST, 0, at(2025, 6, 4, 20), at(2025, 6, 5, 16), f"{sys.argv[1]}/ticks.csv"),
        "minutes": DataDownloader(
            api, [FIRST, SECOND], 120, at(2025, 6, 5, 20), at(2025, 6, 6, 16), f"{sys.argv[1]}/minutes.csv"
        ),
        "days": DataDownloader(api, [MAIN], 86400, date(2025, 6, 1), date(2025, 6, 10), f"{sys.argv[1]}/days.csv"),
    }
    end = time.time() + 60
    while not all(job.is_finished() for job in jobs.values()) and time.time() < end:
        api.wait_update(deadline=time.time() + 0.2)
for name in jobs:
    with open(f"{sys.argv[1]}/{name}.csv") as lines:
        rows = list(csv.reader(lines))
    found[name + ".csv"] = [len(rows) - 1, rows[0][2], rows[1][0], rows[-1]]
print(json.dumps(found))
