"""The live feed through the real client: every tick once and in order, whatever the link does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.conftest import SAMPLES
from tests.tq.conftest import Serve, open_feed
from tests.tq.together import Scenario, together

from ghtrader.core.clock import Deadline
from ghtrader.core.errors import ProviderPermanentError
from ghtrader.data.schema import MARKET_COLUMNS
from ghtrader.ports.live_feed import FeedState, LiveTick, RecyclePolicy
from ghtrader.testing.contracts.live_feed import assert_served, gather
from ghtrader.testing.exchange_process import ExchangeProcess

LIVE = ("--ticks", str(SAMPLES))


# --- any fault script --------------------------------------------------------------------------------------------------------
FAULTS = st.one_of(
    st.builds(lambda after: {"do": "abort", "link": "md", "after_s": after}, st.sampled_from([0.5, 2.0])),
    st.builds(
        lambda after, code: {"do": "close", "link": "md", "after_s": after, "code": code},
        st.sampled_from([0.5, 2.0]),
        st.sampled_from([1000, 1001]),
    ),
    st.builds(lambda after: {"do": "half_open", "link": "md", "after_s": after, "for_s": 60}, st.sampled_from([0.5, 2.0])),
    st.builds(lambda ms: {"do": "slow", "link": "md", "ms": ms, "times": 50}, st.sampled_from([1, 100])),
    st.just({"do": "stale_quotes", "after_s": 3.0, "for_s": 4.0}),
)
FIXED: list[list[dict]] = [
    [{"do": "abort", "link": "md", "after_s": 1.5}],
    [{"do": "close", "link": "md", "after_s": 1.5, "code": 1000}, {"do": "slow", "link": "md", "ms": 50, "times": 40}],
    [{"do": "half_open", "link": "md", "after_s": 1.5, "for_s": 60}],
]


def collecting(folder: Path, served, enough: int = 300) -> Scenario:
    feed = open_feed(folder, silence_s=0.5)
    ticks: list[LiveTick] = []
    while len(ticks) < enough or feed.status.state != FeedState.LIVE:
        ticks += feed.poll(0.1)
        yield
    status = feed.status
    assert_served(ticks, served, status.lost)
    assert status.lost == 0  # nothing is too old for this provider
    assert status.ticks == len(ticks)
    feed.close()


@settings(
    max_examples=1,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(scripts=st.lists(st.lists(FAULTS, min_size=1, max_size=2), min_size=2, max_size=2))
def test_for_any_fault_script_the_ticks_are_the_served_ones(
    serve: Serve, tmp_path: Path, served, scripts: Sequence[Sequence[Mapping[str, object]]]
) -> None:
    started = [serve(*script, options=LIVE, speed=20) for script in [*FIXED, *scripts]]
    together(
        (exchange, lambda number=number: collecting(tmp_path / str(number), served)) for number, exchange in enumerate(started)
    )
    for exchange in started:
        exchange.stop()


# --- one thing each ----------------------------------------------------------------------------------------------------------
def test_absent_fields_are_absent_and_break_nothing(serve: Serve, tmp_path: Path) -> None:
    serve(
        {"do": "dash_fields", "after_ticks": 20, "times": 30, "fields": ["ask_price5", "ask_volume5", "average"]},
        options=LIVE,
        speed=50,
    )
    feed = open_feed(tmp_path)
    ticks = gather(feed, 120)
    price, volume = MARKET_COLUMNS.index("ask_price5"), MARKET_COLUMNS.index("ask_volume5")
    absent = [np.isnan(tick.values[price]) for tick in ticks]
    assert 20 <= sum(absent) <= 30
    assert [tick.values[volume] == 0 for tick in ticks] == absent
    assert not absent[-1]
    feed.close()


def test_a_session_that_grew_is_recycled_in_the_pause_and_at_its_bound_without_a_hole(
    serve: Serve, tmp_path: Path, served
) -> None:
    serve(options=LIVE, speed=50)
    open_now = [True]
    feed = open_feed(
        tmp_path, in_session=lambda: open_now[0], silence_s=60.0, recycling=RecyclePolicy(quiet_s=0.0, most_ticks=150)
    )
    ticks = gather(feed, 400)
    assert feed.status.recycles >= 2
    assert feed.status.rebuilds == 0
    assert feed._held < 150 + 200
    before = feed.status.recycles
    open_now[0] = False
    ticks += gather(feed, 100)
    assert feed.status.recycles > before
    assert_served(ticks, served)
    assert feed.status.lost == 0
    feed.close()


def test_a_silent_market_outside_sessions_is_left_alone_and_a_quiet_one_is_not_hammered(serve: Serve, tmp_path: Path) -> None:
    exchange = serve(options=LIVE, speed=0)
    asleep = open_feed(tmp_path / "asleep", in_session=lambda: False, silence_s=0.1)
    quiet = open_feed(tmp_path / "quiet", silence_s=0.1)
    deadline = Deadline(60)
    while quiet.status.rebuilds < 2:
        assert not deadline.passed, quiet.status
        asleep.poll(0.1)
        quiet.poll(0.1)
    assert quiet._patience_s == pytest.approx(0.4)  # doubled each time, until a tick comes
    assert asleep.status.rebuilds == 0
    assert exchange.ask("hits")["login"] <= 4
    asleep.close()
    quiet.close()


def test_a_feed_that_cannot_begin_says_why_and_begins_when_it_can(serve: Serve, tmp_path: Path) -> None:
    serve({"do": "auth_maintenance", "times": 2}, options=LIVE, speed=50)
    feed = open_feed(tmp_path / "later")
    assert feed.poll(0.0) == []
    assert "运维" in feed.status.message
    assert feed.status.state == FeedState.REBUILDING
    assert len(gather(feed, 5)) >= 5
    assert feed.status.message.startswith("与")  # the link's last word: connected
    feed.close()
    exchange = serve({"do": "wrong_password"}, options=LIVE)
    refused = open_feed(tmp_path / "refused")
    with pytest.raises(ProviderPermanentError, match="密码错误"):
        refused.poll(1.0)
    assert exchange.ask("hits")["login"] == 1
    refused.close()


READER = (
    "import os, sys\n"
    "from pathlib import Path\n"
    "from ghtrader.core.clock import SystemClock\n"
    "from ghtrader.tq.live import TqLiveFeed\n"
    "from ghtrader.tq.session import credentials_from\n"
    "folder = Path(sys.argv[1])\n"
    "feed = TqLiveFeed(credentials_from(os.environ, folder), folder, ('SHFE.rb2510',), SystemClock(), in_session=lambda: True, silence_s=2.0)\n"
    "while True:\n"
    "    print(len(feed.poll(0.5)), feed.status.state, flush=True)\n"
)


def test_sigterm_of_the_exchange_ends_it_and_hangs_no_reader_whose_own_sigterm_ends_it(serve: Serve, tmp_path: Path) -> None:
    exchange: ExchangeProcess = serve(options=LIVE, speed=50)
    reader = subprocess.Popen([sys.executable, "-c", READER, str(tmp_path / "tq")], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    while "live" not in reader.stdout.readline():
        assert reader.poll() is None
    exchange.signal(signal.SIGTERM)
    assert exchange.wait(60) == 0
    lines = [reader.stdout.readline() for _ in range(6)]
    assert any("live" not in line for line in lines)
    assert reader.poll() is None
    reader.send_signal(signal.SIGTERM)
    assert reader.wait(60) == -signal.SIGTERM
    reader.stdout.close()
