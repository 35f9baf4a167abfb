"""P1-T3: sinks fail independently, readers never go backwards, streaks become reason codes."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghtrader.adapters.local.state_file import LocalStateFile
from ghtrader.ports.warm_path import Outcome, WarmReason
from ghtrader.testing.state_media import MemoryStateMedium, state_document
from ghtrader.trading.link.warm_path import WarmLimits
from ghtrader.trading.state.publish import StatePublisher
from ghtrader.trading.state.revision import StateDocument
from ghtrader.trading.views import StateReader

NAMES = {
    "file": WarmReason.FILE_STATE_WRITE_FAILED,
    "redis": WarmReason.REDIS_STATE_WRITE_FAILED,
    "bus": WarmReason.BUS_STATE_WRITE_FAILED,
}
FAULTS = ("write_fails", "read_fails", "lags")


def media() -> dict[str, MemoryStateMedium]:
    return {name: MemoryStateMedium(name, reason) for name, reason in NAMES.items()}


def content(document: StateDocument) -> bytes:
    return msgspec.json.encode(document)


def revision_of(medium: MemoryStateMedium) -> int:
    return msgspec.json.decode(medium.content, type=StateDocument).revision if medium.content else 0


@pytest.mark.parametrize("faults", list(itertools.product(["", *FAULTS], repeat=3)))
def test_matrix_of_partial_failures(faults: tuple[str, ...]) -> None:
    """Every sink well, then each with its fault, then well again: the reader has the best there is, and never less than before."""
    sinks = media()
    publisher, reader = StatePublisher(list(sinks.values())), StateReader("demo", list(sinks.values()), StateDocument)
    seen = 0
    for revision in range(1, 13):
        if revision == 5:
            for medium, fault in zip(sinks.values(), faults, strict=True):
                if fault:
                    setattr(medium, fault, True)
        if revision == 9:
            for medium, fault in itertools.product(sinks.values(), FAULTS):
                setattr(medium, fault, False)
        codes = publisher.publish(state_document(revision))
        view = reader.read()
        assert view.document is not None
        readable = [medium for medium in sinks.values() if not medium.read_fails]
        best = max([revision_of(medium) for medium in readable], default=0)
        assert view.document.revision == max(seen, best)
        seen = view.document.revision
        assert set(view.failed) == {medium.name for medium in sinks.values() if medium.read_fails}
        failing = {str(NAMES[name]) for name, fault in zip(sinks, faults, strict=True) if fault == "write_fails"}
        assert set(codes) == (failing if 6 <= revision <= 9 else set())
    assert seen == 12


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["publish", "publish", "fault", "lose", "older", "restart"]), st.integers(0, 2), st.integers(0, 2)
        ),
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_readers_never_go_backwards(steps: list[tuple[str, int, int]]) -> None:
    sinks = list(media().values())
    publisher, readers = (
        StatePublisher(sinks),
        [StateReader("demo", sinks, StateDocument), StateReader("demo", sinks[::-1], StateDocument)],
    )
    revision, seen, older = 0, [(0, 0), (0, 0)], content(state_document(1))
    for what, index, fault in steps:
        medium = sinks[index]
        if what == "publish":
            revision += 1
            publisher.publish(state_document(revision))
        elif what == "restart":  # a new process goes on behind the reserved revisions
            revision += 10
            publisher = StatePublisher(sinks)
        elif what == "lose":
            medium.content = None
        elif what == "older":
            medium.content, older = older, medium.content or older
        else:
            setattr(medium, FAULTS[fault], not getattr(medium, FAULTS[fault]))
        for number, reader in enumerate(readers):
            document = reader.read().document
            now = (document.revision, document.updated_at) if document else (0, 0)
            assert now >= seen[number]
            assert now >= max(
                ((revision_of(m), revision_of(m) * 10**9) for m in sinks if not m.read_fails and m.content), default=(0, 0)
            )
            seen[number] = now


def test_of_equal_revisions_the_newest_stamp_wins() -> None:
    sinks = list(media().values())
    for medium, stamp in zip(sinks, (5, 9, 7), strict=True):
        medium.content = content(state_document(3, updated_at=stamp))
    view = StateReader("demo", sinks, StateDocument).read()
    assert view.document is not None
    assert (view.document.updated_at, view.source, view.age_ns(10), view.age_ns(1)) == (9, "redis", 1, 0)
    sinks[2].content = content(state_document(4, updated_at=1))
    assert StateReader("demo", sinks, StateDocument).read().source == "bus"
    sinks[0].content = sinks[1].content = sinks[2].content
    assert StateReader("demo", sinks, StateDocument).read().source == "file"  # then the order of sources


def test_closing_lets_go_of_every_medium() -> None:
    sinks = list(media().values())
    StatePublisher(sinks[:2]).close()
    assert [medium.is_closed for medium in sinks] == [True, True, False]
    StateReader("demo", sinks[2:], StateDocument).close()
    assert sinks[2].is_closed


def test_a_streak_becomes_a_code_and_successes_take_it_back() -> None:
    redis = media()["redis"]
    publisher = StatePublisher([redis], limits=WarmLimits(fail_after=3, recover_after=2))
    told, redis.write_fails = [], True
    for revision in range(1, 8):
        redis.write_fails = revision <= 4
        publisher.publish(state_document(revision))
        told.append(publisher.reasons)
    code = ("redis_state_write_failed",)
    assert told == [(), (), code, code, code, (), ()]
    assert [(event.name, event.changed, event.message) for event in publisher.events()] == [
        ("warm_path_state", code[0], "cut off"),
        ("warm_path_recovered", code[0], "cut off"),
    ]
    assert publisher.events() == []
    assert publisher.counters == {f"{code[0]}.attempts": 7, f"{code[0]}.failures": 4, "state_refused": 0}


def test_what_is_written_says_what_is_degraded() -> None:
    sinks = media()
    publisher = StatePublisher(list(sinks.values()), limits=WarmLimits(fail_after=1, recover_after=1))
    sinks["redis"].write_fails = True
    publisher.publish(state_document(1))
    publisher.publish(state_document(2, degraded=("own_code",)))
    written = msgspec.json.decode(sinks["file"].content or b"", type=StateDocument)
    assert written.degraded == ("own_code", "redis_state_write_failed")
    assert written.counters["redis_state_write_failed.failures"] == 1
    sinks["redis"].write_fails = False
    publisher.publish(state_document(3, degraded=("redis_state_write_failed",)))
    publisher.publish(state_document(4, degraded=("redis_state_write_failed",)))  # the gateway has not heard of it yet
    assert msgspec.json.decode(sinks["file"].content or b"", type=StateDocument).degraded == ()


def test_watched_sources_and_single_words_count_too() -> None:
    class Stream:
        def outcomes(self) -> list[Outcome]:
            return [Outcome(WarmReason.REDIS_STREAM_FAILED, False, "gone")]

    publisher = StatePublisher([], [Stream()])
    publisher.observe(Outcome(WarmReason.WS_DISCONNECTED, False, "hung up"), 1)
    assert publisher.publish(state_document(1)) == ("redis_stream_failed", "ws_disconnected")
    assert [event.reasons for event in publisher.events()] == [("ws_disconnected",), ("redis_stream_failed", "ws_disconnected")]


def test_a_revision_that_does_not_rise_is_not_published() -> None:
    sink = MemoryStateMedium()
    publisher = StatePublisher([sink])
    for revision in (5, 5, 4):
        publisher.publish(state_document(revision))
    assert (revision_of(sink), publisher.refused, publisher.revision) == (5, 2, 5)


def test_what_is_no_state_of_the_account_is_named_and_left(tmp_path: Path) -> None:
    good, torn, other = MemoryStateMedium("good"), MemoryStateMedium("torn"), MemoryStateMedium("other")
    good.content, torn.content = content(state_document(1)), content(state_document(9))[:-5]
    other.content = content(state_document(9, account="else"))
    view = StateReader("demo", [torn, other, good], StateDocument).read()
    assert view.document == state_document(1)
    assert set(view.failed) == {"torn", "other"}
    assert StateReader("demo", [], StateDocument).read().document is None
    assert StateReader("demo", [], StateDocument).read().age_ns(5) == 0


def test_the_file_is_replaced_at_once_and_says_when_it_cannot(tmp_path: Path) -> None:
    folder = tmp_path / "demo" / "state"
    file = LocalStateFile(folder)
    assert file.read() is None
    file.put(1, b"one")
    file.put(2, b"two")
    assert (file.read(), [outcome.ok for outcome in file.outcomes()], file.outcomes()) == (b"two", [True, True], [])
    assert [path.name for path in folder.iterdir()] == ["state.json"]
    (folder / ".state.json.writing").mkdir()
    file.put(3, b"three")
    assert file.read() == b"two"
    assert [(outcome.ok, outcome.reason) for outcome in file.outcomes()] == [(False, WarmReason.FILE_STATE_WRITE_FAILED)]
