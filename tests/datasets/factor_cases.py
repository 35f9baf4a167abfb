"""Days that the laws of factors are tried on: real ones, rough ones, small ones that Hypothesis makes up; with all that factors read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from ghtrader.data.day_ticks import NO_PRICE, DayTicks
from ghtrader.data.sessions import DaySessions
from ghtrader.datasets.factors.catalogue import CATALOGUE
from ghtrader.datasets.factors.declaration import Factor, FactorSet
from ghtrader.datasets.factors.engine import FactorStream, breaks_of, compute_day, part_ends, part_starts
from ghtrader.datasets.factors.history import DaySummary, history_array
from ghtrader.datasets.factors.kernels import layout
from ghtrader.datasets.factors.parameters import parameter_array

F64 = npt.NDArray[np.float64]

#: Every declared factor; what a test is generated for.
DECLARED: tuple[Factor, ...] = CATALOGUE
EVERY = FactorSet(name="every", factors=DECLARED, set_hash="")
COLUMN = {factor.id: place for place, factor in enumerate(DECLARED)}

#: Parameters that no one would fit, all different from the neutral ones.
FITTED: dict[str, tuple[float, ...]] = {
    "micro": tuple(0.03 * step + 0.11 * spread + 0.02 for step in range(5) for spread in range(3)),
    "sweep_lots": (3.5, 61.0),
    "ofi_weights": (0.4, -0.2, 0.25, -0.05, 0.1),
    "large_lots": (7.0,),
    "har": (-0.3, 0.2, 0.45, 0.15),
    "regime": (
        *(0.9, 0.07, 0.03, 0.1, 0.85, 0.05, 0.02, 0.08, 0.9),
        *(-2.2, 2.0, 1.1, 0.3, -1.2, 4.0, 1.2, 0.5, -0.5, 6.0, 1.6, 1.1),
        *(0.5, 1.2, 0.4, 0.5, 0.7, 0.9, 0.5, 0.3, 0.4, 1.1, 0.9, 0.7),
        *(0.5, 0.3, 0.2),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A day and what there is beside its rows. earlier: summaries of the days before. values: fitted parameters."""

    ticks: DayTicks
    sessions: DaySessions
    earlier: tuple[DaySummary, ...] = ()
    values: dict[str, tuple[float, ...]] | None = None
    peers: F64 | None = None

    def rows(self, selection: slice | npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Case:
        peers = None if self.peers is None else self.peers[:, selection]
        return replace(self, ticks=self.ticks.rows(selection), peers=peers)

    def batch(self, chosen: FactorSet = EVERY) -> F64:
        return self.batch_day(chosen)[0]

    def batch_day(self, chosen: FactorSet = EVERY) -> tuple[F64, DaySummary]:
        return compute_day(
            self.ticks,
            self.sessions,
            chosen,
            params=parameter_array(self.values),
            history=history_array(self.earlier),
            peers=self.peers,
        )

    def stream(self, chosen: FactorSet = EVERY) -> tuple[F64, DaySummary]:
        """The same, row by row, as a live session would."""
        t, codes = self.ticks, breaks_of(self.ticks)
        starts, ends = part_starts(t, self.sessions), part_ends(t, self.sessions)
        live = FactorStream(
            chosen,
            tick_value_cny=t.price_tick * t.multiplier,
            params=parameter_array(self.values),
            history=history_array(self.earlier),
        )
        out = np.empty((len(t), len(chosen.factors)))
        for i in range(len(t)):
            out[i] = live.step(
                int(t.ts_ns[i]), t.bid_px[i], t.bid_sz[i], t.ask_px[i], t.ask_sz[i], int(t.last_px[i]),
                float(t.volume[i]), float(t.amount[i]), float(t.open_interest[i]),
                break_before=bool(codes[i] == layout.BREAK), continuous=bool(t.phase[i] == 3), part=int(t.part[i]),
                part_start_ns=int(starts[i]), part_end_ns=int(ends[i]), new_contract=bool(codes[i] == layout.ROLL),
                peers=None if self.peers is None else self.peers[:, i : i + 1],
            )  # fmt: skip
        return out, live.summary(t.trading_day.iso)


def same(a: F64, b: F64) -> npt.NDArray[np.bool_]:
    """Per column: equal everywhere, NaN where the other is NaN."""
    return np.asarray(((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=0))


def without_reach(factors: Sequence[Factor] = DECLARED) -> list[Factor]:
    """Factors that a single day's file is enough for."""
    return [factor for factor in factors if not factor.needs]


def some_peers(n: int, seed: int) -> F64:
    """What a peer and the next contract might have shown: fresh, stale and absent stretches, new runs, young runs without returns."""
    rng = np.random.default_rng(seed)
    peers = np.full((2, n, layout.SIZE_PEER), np.nan)
    for one in peers:
        one[:, layout.PEER_AGE_S] = np.where(rng.random(n) < 0.9, rng.integers(0, 5, n) * 0.5, 3.0)
        one[rng.random(n) < 0.02, layout.PEER_AGE_S] = np.nan
        one[:, layout.PEER_RUN] = np.cumsum(rng.random(n) < 0.004)
        one[:, layout.PEER_MID] = np.cumsum(rng.choice([-1.0, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0], n))
        for field, share in ((layout.PEER_R2, 0.98), (layout.PEER_R10, 0.95), (layout.PEER_R60, 0.8)):
            one[:, field] = np.where(rng.random(n) < share, rng.integers(-6, 7, n) / 2.0, np.nan)
        one[:, layout.PEER_RV60] = np.where(rng.random(n) < 0.1, 0.0, rng.random(n))
        one[:, layout.PEER_RV1800] = np.where(rng.random(n) < 0.1, 0.01, rng.random(n))
        one[:, layout.PEER_OFI10] = rng.normal(0.0, 2.0, n)
        one[:, layout.PEER_MICRO] = rng.random(n) - 0.5
    return peers


def some_history(volume: float, seed: int, days: int = 7) -> tuple[DaySummary, ...]:
    """Summaries of days that never were; the last one traded ``volume`` lots."""
    rng = np.random.default_rng(seed)
    return tuple(
        DaySummary(
            trading_day=f"2025-05-{day + 10}",
            volume=volume + 1000.0 * (days - 1 - day),
            log_bid=float(rng.normal(6.0, 0.5)),
            log_ask=float(rng.normal(6.0, 0.5)),
            vpin=tuple(rng.integers(0, 5, layout.VPIN_BINS).astype(float).tolist()),
            activity=tuple(rng.integers(0, 121, layout.PARTS * layout.PART_MINUTES).astype(float).tolist()),
        )
        for day in range(days)
    )


def roughened(ticks: DayTicks, seed: int) -> DayTicks:
    """The day with all that real ones hold, and more of it: absent and holed levels, one-sided and crossed books, wide spreads, breaks,
    auction rows, a roll, stamps 1 us apart, gaps, huge prints, absent last prices, falling counters, absent open interest and turnover, none at all at the end."""
    rng = np.random.default_rng(seed)
    kept = np.ones(len(ticks), dtype=np.bool_)
    for start, length in zip(rng.integers(0, len(ticks), 12), (3, 3, 8, 8, 20, 20, 50, 50, 120, 120, 300, 700), strict=True):
        kept[start : start + length] = False
    kept[0] = True
    part = ticks.rows(kept)
    n = len(part)

    def some(share: float) -> npt.NDArray[np.bool_]:
        return np.asarray(rng.random(n) < share)

    ts = part.ts_ns.copy()
    close = np.flatnonzero(some(0.03))
    ts[close[close > 0]] = ts[close[close > 0] - 1] + 1000
    books = {name: getattr(part, name).copy() for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    for side, sign in (("ask", 1), ("bid", -1)):
        px, sz = books[f"{side}_px"], books[f"{side}_sz"]
        px[some(0.05)] += sign * rng.integers(1, 6)
        for rows, levels in (
            (some(0.03), slice(3, 5)),
            (some(0.01), slice(1, 5)),
            (some(0.02), slice(2, 3)),
            (some(0.01), slice(0, 5)),
        ):
            px[rows, levels], sz[rows, levels] = NO_PRICE, 0
    crossed = some(0.01) & (books["ask_px"][:, 0] != NO_PRICE) & (books["bid_px"][:, 0] != NO_PRICE)
    books["bid_px"][crossed, 0] = books["ask_px"][crossed, 0]
    prints = np.where(some(0.005), rng.integers(200, 4000, n), 0)
    price = np.where(part.bid_px[:, 0] == NO_PRICE, 0, part.bid_px[:, 0]) + rng.integers(-4, 6, n)
    unit = part.price_tick * part.multiplier
    volume = part.volume + np.cumsum(prints)
    amount = part.amount + np.cumsum(prints * price) * unit
    volume[int(n * 0.6) :] -= 1000.0
    amount[int(n * 0.85) :] = 0.0
    amount[some(0.001)] = 0.0
    segment = part.segment_id.copy()
    segment[int(n * 0.7) :] += 1
    return replace(
        part,
        **books,
        ts_ns=ts,
        last_px=np.where(some(0.03), NO_PRICE, part.last_px),
        volume=volume,
        amount=amount,
        open_interest=np.where(some(0.01), 0.0, part.open_interest + np.cumsum(rng.integers(-3, 4, n))),
        phase=np.where(some(0.005), 2, part.phase).astype(np.uint8),
        break_before=part.break_before | some(0.002),
        segment_id=segment,
    )


STEPS_NS = (1_000, 500_000_000, 500_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 61_000_000_000, 310_000_000_000)
_row = st.tuples(
    st.sampled_from(STEPS_NS),
    st.integers(-2, 2),  # move of the best bid
    st.sampled_from((1, 1, 1, 2, 3, 7)),  # spread
    st.lists(st.integers(1, 60), min_size=10, max_size=10),  # lots
    st.sampled_from((5, 5, 5, 4, 2, 1)),  # levels there
    st.sampled_from((0, 0, 1, 1, 2, 9, 150)),  # lots traded
    st.sampled_from((0.0, 0.5, 1.0, 0.3, -2.0, 2.5)),  # where between the previous quotes, in spreads
    st.integers(-3, 3),  # change of open interest
    st.sampled_from(
        (
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "break",
            "one-sided",
            "crossed",
            "auction",
            "no last",
            "roll",
            "restart",
            "no turnover",
            "no interest",
        )
    ),
)


@st.composite
def small_markets(draw: st.DrawFn, like: Case) -> Case:
    """A few dozen rows in the sessions of ``like``, with turnover or without, with history and peers or without."""
    rows = draw(st.lists(_row, min_size=2, max_size=40))
    priced, seed = draw(st.booleans()), draw(st.integers(0, 99))
    n, window = len(rows), like.sessions.parts[-1]
    ticks = like.ticks.rows(np.zeros(n, dtype=np.int64))
    books = {name: np.zeros((n, 5), dtype=np.int64) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    ts, last, segment = np.zeros(n, np.int64), np.full(n, NO_PRICE), np.zeros(n, np.int64)
    volume, amount, interest, breaks = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, dtype=np.bool_)
    phase, unit = np.full(n, 3, dtype=np.uint8), ticks.price_tick * ticks.multiplier
    now, bid, old_bid, old_spread, lots, cny, contract, held = (
        window.start_ns,
        3000,
        3000,
        1,
        1000.0,
        1000.0 * 3000 * unit,
        0,
        1e5,
    )
    for i, (step, move, spread, sizes, levels, traded, place, opened, event) in enumerate(rows):
        now, bid, held = now + step, bid + move, held + opened
        lots, cny = lots + traded, cny + traded * (old_bid + place * old_spread) * unit
        if event == "restart":
            lots = 100.0 - i  # lower than at any earlier restart
            cny = lots * bid * unit
        ts[i], volume[i], amount[i] = now, lots, cny if priced and event != "no turnover" else 0.0
        interest[i] = 0.0 if event == "no interest" else held
        books["bid_px"][i], books["bid_sz"][i] = bid - np.arange(5), sizes[:5]
        books["ask_px"][i], books["ask_sz"][i] = bid + spread + np.arange(5), sizes[5:]
        books["bid_px"][i, levels:], books["bid_sz"][i, levels:] = NO_PRICE, 0
        last[i] = NO_PRICE if event == "no last" else bid + (spread if sizes[0] % 2 else 0)
        breaks[i], phase[i], contract = event == "break", 2 if event == "auction" else 3, contract + (event == "roll")
        segment[i] = contract
        if event == "one-sided":
            books["ask_px"][i], books["ask_sz"][i] = NO_PRICE, 0
        if event == "crossed":
            books["bid_px"][i, 0] = books["ask_px"][i, 0]
        old_bid, old_spread = bid, spread
    breaks[0] = True
    return Case(
        replace(
            ticks, **books, ts_ns=ts, last_px=last, segment_id=segment, volume=volume, amount=amount, open_interest=interest,
            break_before=breaks, phase=phase, part=np.full(n, int(window.part), dtype=np.int8),
        ),
        like.sessions,
        some_history(400.0, seed) if seed % 2 else (),
        FITTED if seed % 3 else None,
        some_peers(n, seed) if seed % 5 else None,
    )  # fmt: skip
