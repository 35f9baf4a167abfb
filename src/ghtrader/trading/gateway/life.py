"""Whether a gateway knows its account: start-up and every loss of the broker's link take the same path, reconciliation."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["LIFE_STEPS", "Life", "LifeEvent", "step_life"]


class Life(StrEnum):
    """Only READY may open positions.

    OFFLINE: no link to the broker. RECONCILING: linked, the account's state was asked for. UNBALANCED: it does not explain ours.
    """

    OFFLINE = "offline"
    RECONCILING = "reconciling"
    UNBALANCED = "unbalanced"
    READY = "ready"


class LifeEvent(StrEnum):
    """What the link and the reconciliation said."""

    LINK_UP = "link_up"
    LINK_DOWN = "link_down"
    BALANCED = "balanced"
    DIFFERS = "differs"
    DOUBT = "doubt"


LIFE_STEPS: dict[tuple[Life, LifeEvent], Life] = {
    (Life.OFFLINE, LifeEvent.LINK_UP): Life.RECONCILING,
    (Life.RECONCILING, LifeEvent.BALANCED): Life.READY,
    (Life.RECONCILING, LifeEvent.DIFFERS): Life.UNBALANCED,
    (Life.UNBALANCED, LifeEvent.BALANCED): Life.READY,
    (Life.UNBALANCED, LifeEvent.DOUBT): Life.RECONCILING,
    (Life.READY, LifeEvent.DIFFERS): Life.UNBALANCED,
    (Life.READY, LifeEvent.DOUBT): Life.RECONCILING,
    **{(life, LifeEvent.LINK_DOWN): Life.OFFLINE for life in (Life.RECONCILING, Life.UNBALANCED, Life.READY)},
}


def step_life(life: Life, event: LifeEvent) -> Life:
    """The state after an event; what the table does not name changes nothing.

    >>> step_life(Life.OFFLINE, LifeEvent.LINK_UP), step_life(Life.OFFLINE, LifeEvent.BALANCED)
    (<Life.RECONCILING: 'reconciling'>, <Life.OFFLINE: 'offline'>)
    """
    return LIFE_STEPS.get((life, event), life)
