"""From a wanted position to orders: executors, one per contract. Pure: they see the orders and the market, and say what to send."""

from __future__ import annotations

from ghtrader.trading.execution.direct import DirectState, start_direct, step_direct
from ghtrader.trading.execution.executor import EXECUTOR_STEPS, ExecPhase, ExecSignal, ExecutorState, step_executor
from ghtrader.trading.execution.goals import (
    CancelWorking,
    Done,
    DoneReason,
    ExecView,
    OrderDone,
    Place,
    PlaceRefused,
    Stop,
    TargetChanged,
    Tick,
    Timer,
)
from ghtrader.trading.execution.table import ExecutorTable

__all__ = [
    "EXECUTOR_STEPS",
    "CancelWorking",
    "DirectState",
    "Done",
    "DoneReason",
    "ExecPhase",
    "ExecSignal",
    "ExecView",
    "ExecutorState",
    "ExecutorTable",
    "OrderDone",
    "Place",
    "PlaceRefused",
    "Stop",
    "TargetChanged",
    "Tick",
    "Timer",
    "start_direct",
    "step_direct",
    "step_executor",
]
