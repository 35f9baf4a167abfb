"""What the client says about its connections, read from its notices: which link dropped, came back, or silently began anew."""

from __future__ import annotations

from typing import Any

from ghtrader.ports.live_feed import FeedEvent

__all__ = ["LINK_CODES", "LinkWatch"]

CONNECTED, RESTORED, RECONNECTING, DROPPED = 2019112901, 2019112902, 2019112910, 2019112911
#: Codes of the client's own notices about its connections; all others are a server's.
LINK_CODES = frozenset({CONNECTED, RESTORED, RECONNECTING, DROPPED})


class LinkWatch:
    """Notices of one link (``md`` or ``td_0``) of a TqApi as events, each once."""

    def __init__(self, link: str) -> None:
        self._link = link
        self._seen: set[str] = set()
        self._connections = 0
        self.message = ""

    def events(self, api: Any) -> list[FeedEvent]:
        """New events since the last call, in order of their notices."""
        found: list[FeedEvent] = []
        for name, notice in list(api._data.get("notify", {}).items()):
            if name.startswith("_") or name in self._seen:
                continue
            self._seen.add(name)
            if notice.get("conn_id") != self._link:
                continue
            self.message = str(notice.get("content", ""))
            code = int(notice.get("code", 0))
            if code == CONNECTED:
                self._connections += 1
                found.append(FeedEvent.CONNECTED if self._connections == 1 else FeedEvent.CONNECTED_AGAIN)
            elif code == RESTORED:
                found.append(FeedEvent.RESTORED)
            elif code in {DROPPED, RECONNECTING}:
                found.append(FeedEvent.DROPPED)
        return found
