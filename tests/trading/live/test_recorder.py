"""What the recorder keeps is whole rows, and what it cannot keep or import is said with the state."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from tests.trading.live.world import sample_ticks

from ghtrader.app.services import AppServices
from ghtrader.core.errors import StoreError
from ghtrader.data.recording import _ROW, TickSpool
from ghtrader.pipelines.recorder import Recorder
from ghtrader.ports.warm_path import Outcome, WarmReason
from ghtrader.trading.gateway.warm_side import WarmSide
from ghtrader.trading.state.publish import StatePublisher


def test_half_a_row_on_a_full_disk_is_taken_back(tmp_path: Path) -> None:
    spool, ticks = TickSpool(tmp_path, "7"), sample_ticks(8)
    spool.append(ticks[:5])
    (path,) = tmp_path.iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + _ROW.itemsize + 10, before[1]))
    try:
        with pytest.raises(StoreError):
            spool.append(ticks[5:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.stat().st_size == 5 * _ROW.itemsize
    spool.append(ticks[5:])
    stamps = np.frombuffer(path.read_bytes(), dtype=_ROW)["datetime"]
    assert stamps.tolist() == [tick.ts_ns for tick in ticks]


def test_ticks_that_cannot_be_kept_or_imported_degrade_the_state(services: AppServices) -> None:
    folder = services.paths.data / "spool" / "kq"
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    told: list[str] = []
    recorder = Recorder(services, "kq", lambda name, fields: told.append(name))
    side = WarmSide(StatePublisher([]), [])
    side.watch(recorder)
    recorder.take(sample_ticks(2))
    recorder.close()
    assert told == ["record_failed"]
    assert _reasons(side) == ("record_failed",)

    folder.unlink()
    folder.mkdir()
    broken = Recorder(services, "kq", lambda name, fields: None)
    services.store = _no_store  # type: ignore[method-assign]
    broken.take(sample_ticks(2))
    broken.close()
    found = broken.outcomes()
    assert Outcome(WarmReason.RECORD_FAILED, True) in found
    assert found[-1].reason == WarmReason.RECORD_IMPORT_FAILED
    assert not found[-1].ok
    assert list(folder.iterdir()), "what was not imported stays"


def _no_store() -> None:
    raise StoreError("the store is away")


def _reasons(side: WarmSide) -> tuple[str, ...]:
    side._publisher.look(2)
    return side._publisher.reasons
