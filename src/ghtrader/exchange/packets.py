"""Recorded market-data packets: read from JSON lines, to be given to clients again one at a time."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec

from ghtrader.core.errors import DataError

__all__ = ["read_packets"]


class _Line(msgspec.Struct):
    """A line of a recording; ``pack`` is the packet as it was received."""

    pack: str


class _Packet(msgspec.Struct):
    aid: str
    data: list[dict[str, Any]] = []


def read_packets(path: Path) -> list[list[dict[str, Any]]]:
    """Patches of every ``rtn_data`` packet of a recording: one JSON object with ``pack`` a line, plain or gzip.

    Raises DataError naming the line that is none.
    """
    found: list[list[dict[str, Any]]] = []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    packet = msgspec.json.decode(msgspec.json.decode(line, type=_Line).pack, type=_Packet)
                except msgspec.DecodeError as error:
                    raise DataError(f"line {number} of {path.name} is no packet: {error}", path=str(path)) from error
                if packet.aid == "rtn_data":
                    found.append(packet.data)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}", path=str(path)) from error
    return found
