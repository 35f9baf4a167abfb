"""The breaker: no sequence of events leaves the table, a probe is alone, and hits under an outage are bounded."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ghtrader.core.clock import NS_PER_S
from ghtrader.data.breaker import TRANSITIONS, Breaker, BreakerSettings, BreakerState, Event, may_ask, step

SETTINGS = st.builds(
    BreakerSettings,
    threshold=st.integers(1, 4),
    cool_down_s=st.sampled_from([0.5, 1.0, 30.0]),
    longest_cool_down_s=st.sampled_from([1.0, 60.0]),
)


def test_the_table_names_every_pair() -> None:
    assert set(TRANSITIONS) == {(state, event) for state in BreakerState for event in Event}


@settings(max_examples=60, stateful_step_count=40, deadline=None)
class SharedBreaker(RuleBasedStateMachine):
    """Several workers before one provider: they ask when they may, and answers come whenever."""

    @initialize(chosen=SETTINGS, workers=st.integers(1, 4))
    def begin(self, chosen: BreakerSettings, workers: int) -> None:
        self.settings, self.workers = chosen, workers
        self.breaker, self.now_ns = Breaker(), 0
        self.asked_when: list[BreakerState] = []
        self.since_opening = 0

    def event(self, event: Event) -> None:
        before = self.breaker
        self.breaker = step(before, event, self.settings, self.now_ns)
        assert self.breaker.state in TRANSITIONS[before.state, event]
        if before.state != BreakerState.OPEN and self.breaker.state == BreakerState.OPEN:
            cool_down = self.breaker.retry_at_ns - self.now_ns
            assert cool_down <= max(self.settings.longest_cool_down_s, 0) * NS_PER_S
            assert self.breaker.opened == before.opened + 1
            self.since_opening = 0

    @precondition(lambda self: len(self.asked_when) < self.workers and may_ask(self.breaker))
    @rule()
    def ask(self) -> None:
        self.asked_when.append(self.breaker.state)
        self.event(Event.ASKED)
        self.since_opening += 1

    @precondition(lambda self: self.asked_when)
    @rule(answer=st.sampled_from([Event.SUCCEEDED, Event.MAINTENANCE, Event.SILENCE, Event.ABANDONED]), which=st.integers(0, 3))
    def answer(self, answer: Event, which: int) -> None:
        self.asked_when.pop(which % len(self.asked_when))
        self.event(answer)

    @rule(seconds=st.sampled_from([0.1, 1.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)
        self.event(Event.TIME)

    @invariant()
    def nothing_is_asked_while_it_is_open_and_a_probe_is_alone(self) -> None:
        if self.breaker.state == BreakerState.OPEN:
            assert not may_ask(self.breaker)
            assert self.since_opening == 0
        if self.breaker.state == BreakerState.HALF_OPEN and self.breaker.probing:
            assert not may_ask(self.breaker)


TestSharedBreaker = SharedBreaker.TestCase


@settings(deadline=None)
@given(chosen=SETTINGS, bad=st.lists(st.sampled_from([Event.MAINTENANCE, Event.SILENCE]), min_size=1, max_size=60))
def test_an_outage_is_asked_threshold_times_and_then_once_an_opening(chosen: BreakerSettings, bad: list[Event]) -> None:
    breaker, now, asked = Breaker(), 0, 0
    for event in bad:
        breaker = step(breaker, Event.TIME, chosen, now)
        if may_ask(breaker):
            breaker = step(step(breaker, Event.ASKED, chosen, now), event, chosen, now)
            asked += 1
        now = max(now, breaker.retry_at_ns)
    assert asked == len(bad)  # time was let pass: each cool-down costs one request
    assert breaker.opened == max(0, asked - chosen.threshold + 1)
    waits = [min(chosen.cool_down_s * 2**n, chosen.longest_cool_down_s) for n in range(max(0, breaker.opened))]
    assert now >= int(sum(waits) * NS_PER_S) - len(waits)


def test_a_dead_asker_frees_the_probe_and_says_nothing() -> None:
    chosen = BreakerSettings(threshold=1, cool_down_s=1.0)
    opened = step(Breaker(), Event.MAINTENANCE, chosen, 0)
    probing = step(step(opened, Event.TIME, chosen, NS_PER_S), Event.ASKED, chosen, NS_PER_S)
    assert not may_ask(probing)
    freed = step(probing, Event.ABANDONED, chosen, NS_PER_S)
    assert (freed.state, may_ask(freed), freed.opened) == (BreakerState.HALF_OPEN, True, 1)
