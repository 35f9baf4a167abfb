"""Which candidates to keep: chosen inside a training fold by mutual information, redundancy and stability, and by nothing else.

The fold's masks (purge, embargo) say which rows are read. Of those a seeded sample is kept; test days are never touched but for the
stamp at which they begin. A candidate is kept when its mutual information with the label's class is above what labels moved along
the day give, when what it adds to its parents (the rank IC of its regression residual) has one sign over the training days and is
beyond chance for the number of labels that do not overlap, and when it says something else than the set and what was chosen before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from ghtrader.core.clock import NS_PER_S
from ghtrader.core.errors import DataError
from ghtrader.core.ids import content_hash
from ghtrader.datasets.candidates import Candidate, apply_candidates, generate_candidates
from ghtrader.datasets.day_dataset import DayDataset, Horizon
from ghtrader.datasets.factors.declaration import Factor, Flip
from ghtrader.datasets.labels.classes import classes, theta_from_train
from ghtrader.datasets.quality.ic import correlation, day_sums, partial_correlation
from ghtrader.datasets.quality.redundancy import rank_correlations
from ghtrader.datasets.splits import Fold, row_masks

__all__ = ["CandidateSpec", "Chosen", "Limits", "select_candidates"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

#: Candidates computed at once, so that a day's columns fit in memory.
CHUNK = 64
#: More neighbours than the usual three: less spread at no bias that matters for smooth columns.
NEIGHBOURS = 25
#: A factor by the clock divides nothing sensibly.
NO_DENOMINATOR = ("clock",)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate has to meet.

    parents, numerators, denominators: how many declared factors, by mutual information, candidates are made of. sample_rows: rows
    kept of the fold. min_coverage: share of them with a value. min_stability: share of training days with the pooled sign.
    min_information_z: mutual information beyond chance, over its standard error. min_z: the same of what it adds.
    max_correlation: abs(Spearman) with the set's factors and with those chosen before.
    """

    parents: int = 20
    numerators: int = 8
    denominators: int = 6
    sample_rows: int = 6_000
    min_coverage: float = 0.8
    min_stability: float = 0.8
    min_information_z: float = 3.0
    min_z: float = 2.5
    max_correlation: float = 0.9


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A kept candidate. mutual_information: nats beyond moved labels. ic: Spearman. added: rank IC of what is left of it after its parents.

    stability: share of training days on which ``added`` has this sign. redundancy: abs(Spearman) with ``nearest``. score: mutual
    information times (1 - redundancy), by which it was chosen.
    """

    candidate: Candidate
    name: str
    candidate_hash: str
    flip: Flip
    mutual_information: float
    ic: float
    added: float
    stability: float
    redundancy: float
    nearest: str
    score: float


class CandidateSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen, and on what: enough to compute the candidates of any later day, and to refuse earlier ones.

    first_ns, last_ns: the rows it read; rows: how many of them were kept. effective: labels that do not overlap. rejected:
    candidates by the first reason met.
    """

    factor_set: str
    set_hash: str
    symbol: str
    horizon: str
    fold: int
    train_days: tuple[str, ...]
    first_ns: int
    last_ns: int
    rows: int
    effective: int
    theta_ticks: float
    seed: int
    limits: Limits
    generated: int
    rejected: dict[str, int]
    chosen: tuple[Chosen, ...]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What `apply_candidates` and `CandidateStream` take."""
        return tuple(item.candidate for item in self.chosen)

    @property
    def spec_hash(self) -> str:
        """Identity of the choice and of everything that led to it."""
        return content_hash(msgspec.to_builtins(self))


@dataclass(frozen=True)
class _Sample:
    """Rows kept of the fold: ``rows`` by day, labels, their classes, the day's number and session part of each."""

    days: tuple[DayDataset, ...]
    rows: tuple[I64, ...]
    y: F64
    outcome: npt.NDArray[np.int8]
    day: I64
    theta: float
    effective: int
    first_ns: int
    last_ns: int

    def take(self, columns: Callable[[DayDataset], F64]) -> F64:
        """The sample of what ``columns`` makes of each day's rows (n, C)."""
        return np.concatenate([columns(day)[rows] for day, rows in zip(self.days, self.rows, strict=True)])


def _windows(dataset: DayDataset, rows: I64, horizon: Horizon) -> int:
    """Labels that do not overlap: windows of the horizon's length that hold a row."""
    place = rows if horizon.unit == "ticks" else dataset.ts_ns[rows] // NS_PER_S
    return len(np.unique(place // horizon.length))


def _sample(datasets: Sequence[DayDataset], fold: Fold, horizon: Horizon, limits: Limits, seed: int) -> _Sample:
    masks = row_masks(fold, datasets, horizon).train
    by_day = {dataset.trading_day.iso: dataset for dataset in datasets}
    used = [name for name in fold.train_days if masks[name].any()]
    if not used:
        raise DataError(f"no row of {', '.join(fold.train_days)} has a label", hint="ghtrader build --var VAR")
    quota = max(1, limits.sample_rows // len(used))
    days, rows, known, effective = [], [], [], 0
    for number, name in enumerate(used):
        dataset, mine = by_day[name], np.flatnonzero(masks[name])
        known.append(dataset.y[mine, dataset.column(horizon)])
        effective += _windows(dataset, mine, horizon)
        if len(mine) > quota:
            mine = np.sort(np.random.default_rng([seed, number]).choice(mine, quota, replace=False))
        days.append(dataset)
        rows.append(mine)
    theta = theta_from_train(np.concatenate(known))
    y = np.concatenate([day.y[mine, day.column(horizon)] for day, mine in zip(days, rows, strict=True)])
    stamps = [day.ts_ns[np.flatnonzero(masks[name])[[0, -1]]] for name, day in zip(used, days, strict=True)]
    return _Sample(
        tuple(days), tuple(rows), y, classes(y, theta), np.repeat(np.arange(len(days)), [len(mine) for mine in rows]),
        theta, effective, int(stamps[0][0]), int(stamps[-1][1]),
    )  # fmt: skip


def _information(values: F64, outcome: npt.NDArray[np.int8], seed: int) -> F64:
    """Mutual information (nats) of each column's known values with the class, by nearest neighbours; NaN below 100 rows."""
    from sklearn.feature_selection import mutual_info_classif

    found = np.full(values.shape[1], np.nan)
    for at in range(values.shape[1]):
        known = np.isfinite(values[:, at])
        if known.sum() >= 100 and np.ptp(values[known, at]) > 0.0:
            x = values[known, at : at + 1]
            found[at] = mutual_info_classif(
                x, outcome[known], discrete_features=False, n_neighbors=NEIGHBOURS, random_state=seed
            )[0]
    return found


def _beyond_chance(values: F64, sample: _Sample, seed: int) -> tuple[F64, F64]:
    """Mutual information beyond that with labels moved along each day, in nats, and over its standard error.

    Labels that overlap make neighbours alike, and a slow column finds neighbours: it has information with moved labels too. Each
    column is therefore compared with itself, twice moved by a tenth to nine tenths of the day. The error is the spread of moved
    ones, the column's own or that of all columns, whichever is larger.
    """
    generator = np.random.default_rng([seed, 1])
    moved = []
    for _ in range(2):
        outcome = sample.outcome.copy()
        for number in range(len(sample.days)):
            rows = np.flatnonzero(sample.day == number)
            outcome[rows] = np.roll(outcome[rows], int(len(rows) * generator.uniform(0.1, 0.9)))
        moved.append(_information(values, outcome, seed))
    net = _information(values, sample.outcome, seed) - (moved[0] + moved[1]) / 2.0
    own = np.abs(moved[0] - moved[1]) / 2.0**0.5
    known = own[np.isfinite(own)]
    spread = np.maximum(own, float(np.sqrt((known**2).mean())) if len(known) else 0.0)
    return net, net / np.maximum(spread * 1.5**0.5, 1e-12)


@dataclass(frozen=True)
class _Judged:
    """Candidates with their sampled values (m, C); by candidate: coverage, mutual information and that over its error, ICs, stability."""

    made: list[Candidate]
    values: F64
    coverage: F64
    information: F64
    information_z: F64
    ic: F64
    added: F64
    stability: F64


def _judge(made: list[Candidate], names: Sequence[str], declared: F64, sample: _Sample, seed: int) -> _Judged:
    """Everything that is asked of a candidate by itself; ranks are taken over the whole sample."""
    values = _values(made, names, sample)
    days, nowhere = len(sample.days), np.zeros(len(sample.y), dtype=np.int8)
    found = np.full((3, len(made)), np.nan)
    for at, item in enumerate(made):
        controls = np.stack([declared[:, names.index(parent)] for parent in (item.parents[0], item.parents[-1])])
        sums = day_sums(values[None, :, at], sample.y[None], controls, nowhere, sample.day, days, (0,))
        left = sums.control[:, 0, 0]
        added = float(partial_correlation(left.sum(axis=-1)))
        same = np.sign(partial_correlation(left)) == np.sign(added)
        found[:, at] = float(correlation(sums.spearman[:, 0, 0].sum(axis=-1))), added, float(same.mean())
    coverage = np.isfinite(values).mean(axis=0)
    return _Judged(made, values, coverage, *_beyond_chance(values, sample, seed), *found)


def _flip(candidate: Candidate, flips: dict[str, Flip]) -> Flip:
    """Class under a bid/ask flip: that of the parent; a ratio of an odd and an even factor is odd."""
    return "odd" if candidate.op == "ratio" else flips[candidate.parents[0]]


def _make(factors: Sequence[Factor], information: F64, limits: Limits) -> list[Candidate]:
    """Candidates of the factors that say most; ratios are odd over even."""
    ranked = np.argsort(-information, kind="stable")  # absent ones last; a level may say nothing and its change much
    best = [factors[at] for at in ranked.tolist() if np.isfinite(information[at])]
    odd = [item.id for item in best if item.flip == "odd"]
    even = [item.id for item in best if item.flip == "even" and item.group not in NO_DENOMINATOR]
    parents = [item.id for item in best[: limits.parents]]
    return generate_candidates(parents, odd[: limits.numerators], even[: limits.denominators])


def select_candidates(
    datasets: Sequence[DayDataset],
    factors: Sequence[Factor],
    fold: Fold,
    horizon: Horizon,
    *,
    top: int,
    seed: int,
    limits: Limits | None = None,
    factor_set: str = "",
    set_hash: str = "",
) -> CandidateSpec:
    """Make candidates of declared factors and choose up to ``top``, inside the fold's training rows.

    factors: the declarations of the datasets' columns. Equal training rows give equal specs, whatever test days hold. Raises DataError
    when no training row has a label.
    """
    limits, names = limits or Limits(), [item.id for item in factors]
    sample = _sample(datasets, fold, horizon, limits, seed)
    declared = sample.take(lambda day: day.factors)
    declared[~np.isfinite(declared)] = np.nan
    known = np.isfinite(declared).mean(axis=0) >= limits.min_coverage
    made = _make(factors, np.where(known, _beyond_chance(declared, sample, seed)[0], np.nan), limits)
    judged = _judge(made, names, declared, sample, seed)
    left, rejected = _passing(judged, sample.effective, limits)
    standing = [(item.id, declared[:, at]) for at, item in enumerate(factors) if known[at]]
    picks, rejected["redundant"] = _greedy(left, judged, standing, top, limits)
    flips = {item.id: item.flip for item in factors}
    return CandidateSpec(
        factor_set=factor_set,
        set_hash=set_hash,
        symbol=sample.days[0].symbol,
        horizon=str(horizon),
        fold=fold.number,
        train_days=fold.train_days,
        first_ns=sample.first_ns,
        last_ns=sample.last_ns,
        rows=len(sample.y),
        effective=sample.effective,
        theta_ticks=sample.theta,
        seed=seed,
        limits=limits,
        generated=len(made),
        rejected=rejected,
        chosen=tuple(_chosen(judged, pick, flips) for pick in picks),
    )


def _passing(judged: _Judged, effective: int, limits: Limits) -> tuple[I64, dict[str, int]]:
    """Candidates that meet every limit by themselves, and how many fail by the first reason met."""
    with np.errstate(invalid="ignore"):
        steps = {
            "coverage": judged.coverage >= limits.min_coverage,
            "mutual information": judged.information_z >= limits.min_information_z,
            "adds too little": np.abs(judged.added) >= limits.min_z / max(effective, 1) ** 0.5,
            "unstable": judged.stability >= limits.min_stability,
        }
    left, rejected = np.ones(len(judged.made), dtype=np.bool_), {}
    for reason, passed in steps.items():
        rejected[reason] = int((left & ~passed).sum())
        left &= passed
    return np.flatnonzero(left), rejected


class _Pick(msgspec.Struct, frozen=True):
    at: int
    redundancy: float
    nearest: str
    score: float


def _greedy(left: I64, judged: _Judged, standing: Sequence[tuple[str, F64]], top: int, limits: Limits) -> tuple[list[_Pick], int]:
    """Pick after pick the one with the largest mutual information x (1 - redundancy); how many were too much alike at the end."""
    if not len(left):
        return [], 0
    names = [name for name, _ in standing] + [judged.made[at].name for at in left]
    table = np.column_stack([*(column for _, column in standing), judged.values[:, left]])
    alike = np.abs(np.nan_to_num(rank_correlations(table)))[len(standing) :]
    taken = list(range(len(standing)))
    picks: list[_Pick] = []
    open_ = list(range(len(left)))
    while True:
        worst = alike[:, taken].max(axis=1) if taken else np.zeros(len(left))
        open_ = [at for at in open_ if worst[at] <= limits.max_correlation]
        if not open_ or len(picks) == top:
            return picks, len(left) - len(picks) - len(open_)
        scores = {at: float(judged.information[left[at]] * (1.0 - worst[at])) for at in open_}
        best = max(open_, key=lambda at: scores[at])
        nearest = names[taken[int(alike[best, taken].argmax())]] if taken else ""
        picks.append(_Pick(int(left[best]), float(worst[best]), nearest, scores[best]))
        taken.append(len(standing) + best)
        open_.remove(best)


def _chosen(judged: _Judged, pick: _Pick, flips: dict[str, Flip]) -> Chosen:
    item, at = judged.made[pick.at], pick.at
    return Chosen(
        candidate=item,
        name=item.name,
        candidate_hash=item.candidate_hash,
        flip=_flip(item, flips),
        mutual_information=round(float(judged.information[at]), 6),
        ic=round(float(judged.ic[at]), 6),
        added=round(float(judged.added[at]), 6),
        stability=round(float(judged.stability[at]), 4),
        redundancy=round(pick.redundancy, 4),
        nearest=pick.nearest,
        score=round(pick.score, 6),
    )


def _values(made: Sequence[Candidate], names: Sequence[str], sample: _Sample) -> F64:
    """Sampled values of every candidate; a day's columns are made in chunks."""
    parts = []
    for start in range(0, len(made), CHUNK):
        chunk = made[start : start + CHUNK]

        def columns(day: DayDataset, chunk: Sequence[Candidate] = chunk) -> F64:
            return apply_candidates(chunk, names, day.factors, day.ts_ns, day.break_before)

        parts.append(sample.take(columns))
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(sample.y), 0))
