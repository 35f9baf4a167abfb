"""What is labelled and how: the parameters of every label, their identity, and the cards that explain the columns."""

from __future__ import annotations

import difflib
import hashlib
from functools import cache
from importlib import resources

import msgspec

from ghtrader.core.errors import UsageError
from ghtrader.core.ids import content_hash
from ghtrader.datasets.day_dataset import Horizon, VoidReason
from ghtrader.datasets.labels.direction import DEFAULT_HORIZONS
from ghtrader.datasets.labels.fills import MAX_AWAY_TICKS, FillEnd

__all__ = ["LABEL_CARDS", "LabelCard", "LabelSpec", "label_card", "parse_horizon"]


def parse_horizon(text: str) -> Horizon:
    """``50t`` or ``25s`` as a horizon; raises UsageError on anything else.

    >>> parse_horizon("25s")
    Horizon(unit='seconds', length=25)
    """
    if not (text[:-1].isascii() and text[:-1].isdigit()) or int(text[:-1]) == 0 or text[-1:] not in ("t", "s"):
        raise UsageError(f"no horizon {text!r}", hint="write 50t for snapshots, 25s for seconds")
    return Horizon("ticks" if text[-1] == "t" else "seconds", int(text[:-1]))


@cache
def _code_hash() -> str:
    """Hash of the sources of this package: labels made by other code are other labels."""
    folder = resources.files("ghtrader.datasets.labels")
    digest = hashlib.sha256()
    for item in sorted((item for item in folder.iterdir() if item.name.endswith(".py")), key=lambda item: item.name):
        digest.update(item.read_bytes())
    return digest.hexdigest()


class LabelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of every label. Raises UsageError when one makes no sense.

    horizons: of direction and taker labels. latency_snapshots, fee_ticks (a constant per side; None: the exchange's dated fees): of
    taker labels. latency_ms, patience_s, away_ticks: of passive orders. after: the horizon from a fill to where its adverse move is
    measured.

    >>> LabelSpec().spec_hash == LabelSpec(away_ticks=2).spec_hash != LabelSpec(fee_ticks=0.2).spec_hash
    True
    """

    horizons: tuple[Horizon, ...] = DEFAULT_HORIZONS
    latency_snapshots: int = 1
    fee_ticks: float | None = None
    latency_ms: float = 100.0
    patience_s: float = 25.0
    away_ticks: int = 2
    after: Horizon = Horizon("seconds", 25)

    def __post_init__(self) -> None:
        problems = {
            "at least one horizon": not self.horizons,
            "each horizon once": len(set(self.horizons)) != len(self.horizons),
            "horizons of at least 1": any(item.length < 1 for item in (*self.horizons, self.after)),
            "latencies and fees of at least 0": not all(
                value >= 0 for value in (self.latency_snapshots, self.latency_ms, self.fee_ticks or 0.0)
            ),
            "a patience above 0": not self.patience_s > 0,
            f"away_ticks of 1 to {MAX_AWAY_TICKS}": not 1 <= self.away_ticks <= MAX_AWAY_TICKS,
        }
        wrong = [text for text, holds in problems.items() if holds]
        if wrong:
            raise UsageError(f"a label spec needs {'; '.join(wrong)}", hint="ghtrader labels compute --help")

    @property
    def spec_hash(self) -> str:
        """Identity: every parameter and the code that makes labels."""
        return content_hash({"spec": msgspec.to_builtins(self), "code": _code_hash()})


class LabelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One family of columns. ``columns`` with H for a horizon, SIDE for bid or ask, MODEL for back, pro_rata or front."""

    id: str
    name: str
    columns: str
    formula: str
    unit: str
    reads: str
    parameters: str
    absent: str
    source: str


_VOIDS = "; ".join(f"{int(item)} {item.name.lower()}" for item in VoidReason if item)
_ENDS = "; ".join(f"{int(item)} {item.name.lower()}" for item in FillEnd)

LABEL_CARDS: tuple[LabelCard, ...] = (
    LabelCard(
        id="direction",
        name="mid change",
        columns="y_H, void_H, reason_H",
        formula="m(end) - m(t); H ticks: end is the H-th snapshot after t; H s: the last snapshot at or before t + H",
        unit="ticks",
        reads="rows t and end, one run",
        parameters="horizons. Classes are derived late: theta comes from the training fold, max(1 tick, 0.5 sd)",
        absent=f"null with a code in void_H, its name in reason_H: {_VOIDS}",
        source="models.md 3.1, L1",
    ),
    LabelCard(
        id="taker",
        name="executable taker label",
        columns="taker_long_H, taker_short_H, taker_class_H, taker_void_H, taker_reason_H",
        formula="long: b(e+H) - a(e) - fees; short: b(e) - a(e+H) - fees; e = t + latency; class 2 long earns, 0 short earns, 1 none",
        unit="ticks net",
        reads="rows t, e and the end of H from e, one run",
        parameters="horizons, latency_snapshots, fee_ticks (per side); without it the exchange's dated fees of opening and closing today",
        absent="null with a code, as direction",
        source="models.md 3.1, L5",
    ),
    LabelCard(
        id="fill",
        name="fill of a passive order of one lot",
        columns="fill_SIDE_MODEL, fill_SIDE_MODEL_end, fill_SIDE_MODEL_reason",
        formula="1 filled within the patience, 0 cancelled or the price moved away first; end says how it ended",
        unit="0 or 1",
        reads="rows t to t + latency + patience, one run",
        parameters="latency_ms, patience_s, away_ticks",
        absent=f"null where void or right-censored; end codes: {_ENDS}",
        source="models.md 3.7, market.md 'Fills on snapshots'",
    ),
    LabelCard(
        id="fill_time",
        name="time to the end of a passive order",
        columns="fill_SIDE_MODEL_ticks, fill_SIDE_MODEL_seconds",
        formula="from the decision to the fill, to the price moving away, or to the last row at which it was seen unfilled",
        unit="snapshots; seconds",
        reads="as fill",
        parameters="latency_ms, patience_s, away_ticks",
        absent="null where void; censored where end is neither 1 nor 2",
        source="models.md 1.11, 3.7",
    ),
    LabelCard(
        id="cost",
        name="execution cost",
        columns="cost_SIDE_MODEL, cost_SIDE_taker",
        formula="bid (buy): paid - m(arrival); ask (sell): m(arrival) - paid; a taker pays the worse touch of decision and arrival",
        unit="ticks, without fees",
        reads="rows t, arrival and fill, one run",
        parameters="latency_ms, patience_s, away_ticks",
        absent="null without a fill; taker: null where the order does not arrive in the run or meets no two-sided book",
        source="models.md 3.7",
    ),
    LabelCard(
        id="adverse",
        name="adverse move after the fill",
        columns="adverse_SIDE_MODEL, adverse_SIDE_taker",
        formula="bid (buy): paid - m(after); ask (sell): m(after) - paid; after: the end of a horizon from the fill",
        unit="ticks, above 0 against us",
        reads="rows from the fill to after, one run",
        parameters="after",
        absent="null without a fill, or where the horizon leaves the run or ends at a void book",
        source="models.md 3.7",
    ),
    LabelCard(
        id="weight",
        name="uniqueness weight",
        columns="weight_H",
        formula="1 / mean concurrency of the steps that the label covers, among all direction labels of the day",
        unit="1",
        reads="which labels overlap",
        parameters="horizons",
        absent="null where the direction label is void",
        source="models.md 3.4; Lopez de Prado (2018)",
    ),
)


def label_card(label_id: str) -> LabelCard:
    """The card of a label; raises UsageError naming the nearest one."""
    cards = {card.id: card for card in LABEL_CARDS}
    if label_id not in cards:
        near = difflib.get_close_matches(label_id, cards, n=1)
        hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(cards)}"
        raise UsageError(f"no label {label_id!r}", hint=hint)
    return cards[label_id]
