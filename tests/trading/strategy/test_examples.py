"""The strategies of the how-to run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.trading.strategy.frames import SYMBOL, account, binding, plan, tick

from ghtrader.core.messages import Style, Target
from ghtrader.trading.strategy.api import StrategyContext
from ghtrader.trading.strategy.core import StrategyCore
from ghtrader.trading.strategy.halts import HaltReason
from ghtrader.trading.strategy.loading import load_strategy
from ghtrader.trading.strategy.model import ModelBinding

PAGE = (ROOT / "docs" / "how-to" / "write-a-strategy.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_page_decides(tmp_path: Path, number: int) -> None:
    path = tmp_path / "example.py"
    path.write_text(EXAMPLES[number])
    loaded = load_strategy(path)
    bound = binding() if loaded.needs_model else ModelBinding(symbol=SYMBOL, plan=plan(loaded.factor_set))
    context = StrategyContext(account="demo", symbol="", params={"lots": 2})
    core = StrategyCore("demo", "s1", [bound], loaded.make, context=context)
    targets: list[Target] = []
    seq, position = 1, 0
    core.on_frame(account(seq), 0)
    for row in range(2000):
        for message in core.on_frame(tick(3000 + row, seq + 1), 0):
            if isinstance(message, Target):
                targets.append(message)
                position = message.lots
        seq += 2
        held = account(seq, position=position, target=position, target_session="s1", target_seq=len(targets))
        core.on_frame(held, 0)
    assert core.halts.standing == ()
    assert len({target.lots for target in targets}) == 3
    assert all(target.execution.style in {Style.CHASE, Style.TAKER} for target in targets)
    assert max(target.lots for target in targets) == (2 if loaded.needs_model else 1)


def test_the_page_names_every_reason_and_every_style() -> None:
    assert len(EXAMPLES) == 2
    assert [reason for reason in HaltReason if f"`{reason}`" not in PAGE] == []
    assert [style for style in Style if f"`{style.name}`" not in PAGE] == []
