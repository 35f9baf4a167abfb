"""What another instrument showed last: research by exchange time, live by order of arrival."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tests.conftest import SAMPLES
from tests.datasets.factor_cases import Case, same

from ghtrader.core.errors import UsageError
from ghtrader.core.trading_day import TradingDay
from ghtrader.data.calendar import Calendar
from ghtrader.data.day_ticks import DayTicks
from ghtrader.data.instruments import InstrumentTable
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.catalogue import CATALOGUE, factor
from ghtrader.datasets.factors.declaration import FactorSet
from ghtrader.datasets.factors.engine import breaks_of, compute, flip, part_ends, part_starts
from ghtrader.datasets.factors.kernels import layout
from ghtrader.datasets.factors.peers import PEERS, PeerFeed, peer_rows, stack_peers
from ghtrader.pipelines.feature_peers import load_peer, peers_of_day
from ghtrader.research.truth import day_ticks
from ghtrader.sim.market.generate import generate_market

F64 = npt.NDArray[np.float64]
CROSS = FactorSet(name="cross", factors=tuple(item for item in CATALOGUE if item.group == "cross"), set_hash="")
OWN = FactorSet(name="own", factors=tuple(factor(name) for name in ("F1", "F31", "F60", "F70")), set_hash="")
#: Factors of the row alone, without memory of earlier peer rows.
MEMORYLESS = ("F100", "F101", "F102", "F103", "F108")
SNAPSHOT_NS = 500_000_000


def live_rows(own_ts: npt.NDArray[np.int64], peer: DayTicks, sessions: DaySessions, arrivals: npt.NDArray[np.int64]) -> F64:
    """What a `PeerFeed` shows at each own stamp; the peer's row j arrives at ``arrivals[j]``, before own rows of that moment."""
    feed, codes = PeerFeed(tick_value_cny=peer.price_tick * peer.multiplier), breaks_of(peer)
    starts, ends = part_starts(peer, sessions), part_ends(peer, sessions)
    out, j = np.empty((len(own_ts), layout.SIZE_PEER)), 0
    for i, now in enumerate(own_ts.tolist()):
        while j < len(peer) and arrivals[j] <= now:
            feed.push(
                int(peer.ts_ns[j]), peer.bid_px[j], peer.bid_sz[j], peer.ask_px[j], peer.ask_sz[j], int(peer.last_px[j]),
                float(peer.volume[j]), float(peer.amount[j]), float(peer.open_interest[j]), break_before=bool(codes[j]),
                continuous=bool(peer.phase[j] == 3), part=int(peer.part[j]), part_start_ns=int(starts[j]), part_end_ns=int(ends[j]),
            )  # fmt: skip
            j += 1
        out[i] = feed.at(now)
    return out


@dataclass(frozen=True)
class Pair:
    """An instrument's day and the same of two others."""

    ticks: DayTicks
    peer: DayTicks
    following: DayTicks
    sessions: DaySessions

    def rows(self, peer: DayTicks | None = None) -> F64:
        both = (peer_rows(self.ticks.ts_ns, other, self.sessions) for other in (peer or self.peer, self.following))
        return stack_peers(len(self.ticks), *both)

    @cached_property
    def batch(self) -> F64:
        return compute(self.ticks, self.sessions, CROSS, peers=self.rows())

    def skewed(self, by_ns: int) -> F64:
        """Shown when the peer's rows arrive ``by_ns`` later than their stamps say."""
        shown = live_rows(self.ticks.ts_ns, self.peer, self.sessions, self.peer.ts_ns + by_ns)
        return stack_peers(len(self.ticks), shown, peer_rows(self.ticks.ts_ns, self.following, self.sessions))


@pytest.fixture(scope="module")
def pair() -> Pair:
    days = [next(generate_market("planted", seed, days=1)) for seed in (3, 4, 5)]
    ticks = [day_ticks(day) for day in days]
    own, peer, following = (item.rows(np.r_[500:2500, len(item) // 2 : len(item) // 2 + 1000]) for item in ticks)
    quiet = np.ones(len(peer), dtype=np.bool_)
    quiet[700:760] = False  # nothing for far more than two seconds
    breaks = peer.break_before.copy()
    breaks[1200] = True
    return Pair(own, replace(peer, break_before=breaks).rows(quiet), following, days[0].sessions)


def test_research_and_live_agree_where_arrival_follows_the_stamps(pair: Pair) -> None:
    shown = live_rows(pair.ticks.ts_ns, pair.peer, pair.sessions, pair.peer.ts_ns)
    assert same(shown, peer_rows(pair.ticks.ts_ns, pair.peer, pair.sessions)).all()
    peers = stack_peers(len(pair.ticks), shown, peer_rows(pair.ticks.ts_ns, pair.following, pair.sessions))
    stream, _ = Case(pair.ticks, pair.sessions, peers=peers).stream(CROSS)
    assert same(stream, pair.batch).all()
    assert np.isfinite(pair.batch).mean(axis=0).min() > 0.8
    stale = pair.rows()[0, :, layout.PEER_AGE_S] > layout.MAX_PEER_AGE_S
    assert stale.sum() > 20
    assert np.isnan(pair.batch[stale][:, :7]).all()


@pytest.mark.parametrize("snapshots", [-1, 1])
def test_a_snapshot_of_skew_changes_what_it_must_and_nothing_else(pair: Pair, snapshots: int) -> None:
    peers, fields = pair.skewed(snapshots * SNAPSHOT_NS), slice(layout.PEER_AGE_S + 1, None)
    found = compute(pair.ticks, pair.sessions, CROSS, peers=peers)
    before = pair.rows()
    alike = ((peers[0] == before[0]) | (np.isnan(peers[0]) & np.isnan(before[0])))[:, fields].all(axis=1)
    fresh = (peers[0, :, 0] <= layout.MAX_PEER_AGE_S) & (before[0, :, 0] <= layout.MAX_PEER_AGE_S)
    assert 50 < alike.sum() < len(alike) - 50
    for name in MEMORYLESS:
        at = CROSS.ids.index(name)
        assert same(found[alike & fresh][:, [at]], pair.batch[alike & fresh][:, [at]]).all(), name
    at = CROSS.ids.index("F107")
    assert same(found[:, [at]], pair.batch[:, [at]]).all()  # the next contract came in time
    assert np.array_equal(
        compute(pair.ticks, pair.sessions, OWN, peers=peers), compute(pair.ticks, pair.sessions, OWN), equal_nan=True
    )
    assert not np.isinf(found).any()
    assert np.isfinite(found[fresh][:, [CROSS.ids.index(name) for name in ("F103", "F105", "F106", "F108")]]).all()
    assert np.nanmax(np.abs(found[:, [CROSS.ids.index("F106"), at]])) <= 10.0
    assert np.nanmax(np.abs(found)) < 1e3


def test_what_the_peer_shows_later_never_changes_an_earlier_row(pair: Pair) -> None:
    cut = int(pair.ticks.ts_ns[1400])
    later = pair.peer.ts_ns > cut
    changed = replace(
        pair.peer,
        bid_px=np.where(later[:, None], pair.peer.bid_px + 7, pair.peer.bid_px),
        ask_px=np.where(later[:, None], pair.peer.ask_px + 9, pair.peer.ask_px),
        bid_sz=np.where(later[:, None], pair.peer.bid_sz + 3, pair.peer.bid_sz),
    )
    found = compute(pair.ticks, pair.sessions, CROSS, peers=pair.rows(changed))
    past = pair.ticks.ts_ns <= cut
    assert same(found[past], pair.batch[past]).all()
    assert not same(found, pair.batch)[: len(MEMORYLESS)].any()
    without = compute(pair.ticks, pair.sessions, CROSS, peers=pair.rows(pair.peer.rows(~later)))
    assert same(without[past], pair.batch[past]).all()


def test_mirroring_both_markets_changes_signs_exactly(pair: Pair) -> None:
    mirrored = Pair(flip(pair.ticks), flip(pair.peer), flip(pair.following), pair.sessions)
    for at, item in enumerate(CROSS.factors):
        expected = -pair.batch[:, [at]] if item.flip == "odd" else pair.batch[:, [at]]
        assert same(mirrored.batch[:, [at]], expected).all(), item.id


def test_default_peers_are_products_that_exist() -> None:
    known = set(InstrumentTable.vendored().products)
    assert {*PEERS, *PEERS.values()} <= known
    assert all(product != peer for product, peer in PEERS.items())


def test_a_file_gives_a_days_array_and_is_no_peer_of_itself(tmp_path: Path) -> None:
    tables, source = (Calendar.vendored(), InstrumentTable.vendored()), SAMPLES / "SHFE.rb2510.20250605.parquet"
    renamed = tmp_path / "other.parquet"
    renamed.write_bytes(source.read_bytes())
    peer = load_peer(renamed, "SHFE.hc2510", *tables, symbol="SHFE.rb2510")
    day, stamps = peer.days["2025-06-05"], peer.days["2025-06-05"].ticks.ts_ns[::7]
    found = peers_of_day(TradingDay.parse("2025-06-05"), stamps, following=peer)
    assert found is not None
    assert same(found[1], peer_rows(stamps, day.ticks, day.sessions)).all()
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1, :, layout.PEER_MID]).any()
    assert np.isnan(peer.rows(TradingDay.parse("2025-06-06"), stamps)).all()
    assert peers_of_day(TradingDay.parse("2025-06-05"), stamps) is None
    with pytest.raises(UsageError, match="no peer of its own"):
        load_peer(source, "SHFE.rb2510", *tables, symbol="SHFE.rb2510")
