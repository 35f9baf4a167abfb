"""Group G: cross-asset. The peer's values are those of its own last row at or before t, NaN when that is older than 2 s."""

from __future__ import annotations

from functools import partial

from ghtrader.datasets.factors.cards.declare import card
from ghtrader.datasets.factors.declaration import Factor

__all__ = ["CARDS"]

STALE = "NaN without a peer row of the last 2 s; state untouched"
_peer = partial(card, group="cross", kernel="cross", needs="peer", absent="needs ticks of a peer (--peer)", nan=STALE)
_next = partial(
    card, group="cross", kernel="cross", needs="next", absent="needs ticks of the next main contract (--next)", nan=STALE
)


def _peer_return(id_: str, own: str, seconds: int) -> Factor:
    return _peer(
        id_,
        f"peer return {seconds} s",
        f"{own} of the peer / max(0.05 ticks, F68 of the peer)",
        unit="own volatilities",
        lookback=f"{seconds} s",
        flip="odd",
    )


CARDS = (
    _peer_return("F100", "F59", 2), _peer_return("F101", "F60", 10), _peer_return("F102", "F61", 60),
    _peer("F103", "peer order flow 10 s", "flow(e1, 10 s) / D1 of the peer, as F31", lookback="half-life 10 s", flip="odd"),
    _peer(
        "F104", "residual to the peer", "r - f q before this row's update, r = F60, q = F60 of the peer, f = C/(Q + 1e-6); then C = w C + r q, Q = w Q + q^2, w = 2^(-dt/14,400 s); C, Q "
        "live through the day",
        unit="ticks", lookback="half-life 4 h of trading", scope="day", flip="odd", nan=STALE + "; NaN while F60 is on either side",
    ),
    _peer(
        "F105", "lead-lag score", "(P - R) / sqrt(X Y), P = level(q' r), R = level(r' q), X = level(r^2), Y = level(q^2), half-life 600 s, r = dm, q = change of the peer's mid since the run's "
        "previous row with a fresh peer, 0 where there is none or the peer's run is another; r', q': of that row; on the run's first row with a fresh peer all four are 0; 0 where X Y = 0",
        lookback="half-life 600 s", flip="even",
    ),
    _peer(
        "F106", "relative strength z", "z of D, D = sum over rows of the run of (dm / max(0.05, F70) - q / max(0.05, F70 of the peer)), q as in F105; z = (D - E) / sqrt(Z), 0 where Z < 1e-12, clipped to [-10, 10], before the "
        "update; then d = D - E, E = E + (1 - w) d, Z = w (Z + (1 - w) d^2), w = 2^(-dt/14,400 s); on the run's first such row E = D, Z = 0",
        lookback="half-life 4 h of trading", flip="odd", source="the gold/silver ratio without its level",
    ),
    _next(
        "F107", "calendar spread z", "z as in F106 of D = mid of the next contract - own mid, each relative to its own run's first mid; a change of the next contract's run begins anew",
        lookback="half-life 4 h of trading", flip="odd",
    ),
    _peer("F108", "basket micro-price", "mean over peer and next, those that are fresh, of F12 / F1 of theirs", unit="spreads", flip="odd"),
)  # fmt: skip
