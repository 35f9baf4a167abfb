"""Parameters of the generated markets: the calibrated book and what each market plants in it."""

from __future__ import annotations

import msgspec

__all__ = ["MARKETS", "BookParameters", "MarketSpec"]


class BookParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Rates per second of the queue-reactive book, fitted to a copper day.

    limit_rate, limit_decay: limit orders per level, falling with distance. inside_rate: placements inside a wide spread.
    cancel_rate: times size^0.85. market_rate: market orders per side. excite_same, excite_other, excite_decay: Hawkes
    kernel of trades. imbalance_tilt: how the book's imbalance steers market orders. refill: share of inside placements
    on the side that was depleted. cap_share: trades capped at the touch queue.
    """

    limit_rate: float = 0.814
    limit_decay: float = 0.048
    inside_rate: float = 2.644
    cancel_rate: float = 0.045
    market_rate: float = 0.246
    excite_same: float = 0.736
    excite_other: float = 0.134
    excite_decay: float = 1.567
    imbalance_tilt: float = 1.298
    refill: float = 0.573
    cap_share: float = 0.749


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One market. kappa: strength of the leak in levels 3-5; eta: strength of the later effect on market orders.

    The hidden state alpha is off for Exp(``off_s``), then on with a random sign: ``leak_s`` of leak, then ``effect_s`` of
    effect. The phases never overlap, so flow cannot show alpha before it acts.
    """

    name: str
    summary: str
    kind: str = "book"
    kappa: float = 0.0
    eta: float = 0.0
    off_s: float = 50.0
    leak_s: float = 20.0
    effect_s: float = 20.0
    book: BookParameters = BookParameters()


MARKETS: dict[str, MarketSpec] = {
    spec.name: spec
    for spec in (
        MarketSpec(name="planted", summary="levels 3-5 leak what market orders do 20 s later", kappa=3.0, eta=0.8),
        MarketSpec(name="decoy", summary="the same leak, followed by nothing", kappa=3.0),
        MarketSpec(name="hidden", summary="the same effect, announced by nothing", eta=0.8),
        MarketSpec(name="null", summary="direction is a coin; only volatility can be forecast", kind="null"),
        MarketSpec(
            name="rich",
            summary="a strong, long effect, announced: worth more than it costs to trade",
            kappa=3.0,
            eta=1.3,
            off_s=60.0,
            leak_s=20.0,
            effect_s=60.0,
        ),
    )
}
