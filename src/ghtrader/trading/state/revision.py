"""The state document of an account. Its revision only rises, over restarts too; readers keep the highest they saw."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["RESERVED", "StateDocument"]

#: Revisions that one journal record reserves: a restart begins behind the last reserved one.
RESERVED = 1000


class StateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is, has and does, for people and consoles; never a secret.

    revision: rises with every flush. updated_at: ns UTC. mode_reason: why the mode is less than wanted. halts: why no position may
    be opened now. degraded: reason codes of what fails beside trading. positions: signed lots with today and history by contract.
    desired: what operators want (mode, symbols, executor, limits, paused); limits: those in force. warm_path_degraded, warm_path_reason:
    whether a way beside trading fails, and its codes in one line.
    """

    account: str
    revision: int
    updated_at: int
    sender: str
    mode: str
    desired_mode: str
    mode_reason: str
    life: str
    killed: bool
    kill_reason: str
    paused: bool
    trading_day: str
    halts: tuple[str, ...]
    degraded: tuple[str, ...]
    contracts: dict[str, str]
    positions: list[dict[str, Any]]
    working: list[dict[str, Any]]
    targets: dict[str, int]
    funds: dict[str, float | None]
    pnl_cny: dict[str, float | None]
    strategy: dict[str, Any]
    links: dict[str, str]
    counters: dict[str, int]
    markets: dict[str, dict[str, Any]] = {}
    latency_us: dict[str, dict[str, float]] = {}
    desired: dict[str, Any] = {}
    limits: dict[str, float] = {}
    warm_path_degraded: bool = False
    warm_path_reason: str = ""
    version: int = 1
