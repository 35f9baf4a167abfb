"""How a card is written, and the notation of its formula.

Rows are those that count: continuous trading, a two-sided and uncrossed book. A run is what lies between two breaks (session
break, ledger gap, roll, falling counters); a day survives breaks and gaps. b_i, a_i: prices in ticks, B_i, A_i: lots, level i; m = (b1 + a1)/2;
s = a1 - b1; V, M, O: cumulative lots, CNY, open interest; dt: seconds since the run's previous row; a prime marks the previous row of
the run; dV, dM, dO, dm: changes since it, 0 on a run's first row; u: CNY per tick and lot. sv: bought minus sold lots of the
interval (F43), buy = (dV + sv)/2, sell = (dV - sv)/2, sgn = sign(sv). M and O of 0 are absent: dM is 0 where M' was absent although V' > 0;
an absent O is unchanged, and dO is 0 where none was known before.

flow(x, h): S = 2^(-dt/h) S + x, from 0 on; on a run's first row x is 0 where it is a change. level(x, h): E = w E + (1 - w) x, w = 2^(-dt/h), beginning with the first x.
Where a quantity is undefined on a row, state is untouched and the next weight is that of the next row's own dt.
"""

from __future__ import annotations

from ghtrader.datasets.factors.declaration import Factor, Flip, Needs, Scope

__all__ = ["BOOK1", "BOOK5", "CKS", "SIZES5", "TRADE", "card"]

BOOK1 = ("bid_price1", "bid_volume1", "ask_price1", "ask_volume1")
SIZES5 = tuple(f"{side}_volume{level}" for side in ("bid", "ask") for level in range(1, 6))
BOOK5 = (*(f"{side}_price{level}" for side in ("bid", "ask") for level in range(1, 6)), *SIZES5)
TRADE = (*BOOK1, "volume", "amount", "last_price")
#: The source of a formula that no single paper owns.
OWN = "common practice, as this card defines it"
CKS = "Cont, Kukanov, Stoikov (2014)"
UNTOUCHED = "NaN without a two-sided book; state untouched"


def card(
    id_: str,
    name: str,
    formula: str,
    *,
    unit: str = "1",
    lookback: str = "none",
    columns: tuple[str, ...] = BOOK1,
    flip: Flip,
    group: str,
    kernel: str,
    slot: int = -1,
    nan: str = UNTOUCHED,
    partner: str = "",
    source: str = OWN,
    fitted: tuple[str, ...] = (),
    neutral: str = "",
    needs: Needs = "",
    absent: str = "",
    exempt: str = "",
    scope: Scope = "run",
    version: int = 1,
) -> Factor:
    """One card; factors with a number know their slot."""
    return Factor(
        id=id_,
        name=name,
        slot=slot if slot >= 0 else int(id_[1:]) - 1,
        formula=formula,
        unit=unit,
        lookback=lookback,
        columns=columns,
        flip=flip,
        nan_policy=nan,
        group=group,
        kernel=kernel,
        version=version,
        partner=partner,
        source=source,
        fitted=fitted,
        neutral=neutral,
        needs=needs,
        absent_reason=absent,
        level_exempt=exempt,
        scope=scope,
    )
