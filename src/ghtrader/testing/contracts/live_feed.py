"""Contract of ``ports.live_feed.LiveFeed``. Inherit `LiveFeedContract` and give ``open_feed`` and ``served``.

``open_feed(begin)`` opens a feed whose first tick has the id ``begin`` (None: wherever it starts); ``served(identity)`` gives the stamp
and the values that the source has under an id.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from ghtrader.core.clock import Deadline
from ghtrader.ports.live_feed import FeedState, LiveFeed, LiveTick

__all__ = ["LiveFeedContract", "assert_served", "gather"]

Served = Callable[[int], tuple[int, tuple[float, ...]]]
OpenFeed = Callable[[int | None], LiveFeed]
TIMEOUT_S = 90.0


def gather(feed: LiveFeed, count: int, timeout_s: float = TIMEOUT_S) -> list[LiveTick]:
    """At least ``count`` ticks of a feed."""
    found: list[LiveTick] = []
    deadline = Deadline(timeout_s)
    while len(found) < count:
        assert not deadline.passed, f"{len(found)} ticks, {feed.status}"
        found += feed.poll(0.5)
    return found


def assert_served(ticks: list[LiveTick], served: Served, lost: int = 0) -> None:
    """Ids ascend, each once, ``lost`` of them missing in between; stamps and values are the source's."""
    ids = [tick.identity for tick in ticks]
    assert all(after > before for before, after in itertools.pairwise(ids))
    assert ids[-1] - ids[0] + 1 - len(ids) == lost
    expected = [served(identity) for identity in ids]
    assert [tick.ts_ns for tick in ticks] == [stamp for stamp, _ in expected]
    found, wanted = np.array([tick.values for tick in ticks]), np.array([values for _, values in expected])
    assert np.array_equal(found, wanted, equal_nan=True)


class LiveFeedContract:
    """Laws of every feed of one symbol."""

    def test_every_tick_comes_once_in_order_and_as_it_was_served(self, open_feed: OpenFeed, served: Served) -> None:
        """And the status counts them."""
        feed = open_feed(None)
        ticks = gather(feed, 120)
        assert_served(ticks, served)
        status = feed.status
        assert (status.state, status.ticks, status.lost) == (FeedState.LIVE, len(ticks), 0)
        assert status.last_receive_ns == ticks[-1].receive_ns > 0
        feed.close()

    def test_a_feed_goes_on_where_another_ended(self, open_feed: OpenFeed, served: Served) -> None:
        """The process that reads may be another one."""
        first = open_feed(None)
        before = gather(first, 20)
        first.close()
        second = open_feed(before[-1].identity + 1)
        ticks = before + gather(second, 20)
        assert_served(ticks, served)
        second.close()

    def test_a_closed_feed_gives_nothing(self, open_feed: OpenFeed) -> None:
        """And stays closed."""
        feed = open_feed(None)
        feed.close()
        assert feed.poll(0.0) == []
        assert feed.status.state == FeedState.CLOSED
