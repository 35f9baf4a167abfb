"""What the command line and the console see of the trading runtime: its state, the freshest that any medium has, never backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from ghtrader.core.errors import StoreError
from ghtrader.ports.state_sink import StateSource
from ghtrader.trading.state.revision import PublishedDocument, StateDocument

__all__ = ["SeenState", "StateDocument", "StateReader"]

D = TypeVar("D", bound=PublishedDocument)


class SeenState(msgspec.Struct, Generic[D], frozen=True, kw_only=True):
    """A state and where it was read. failed: media that could not be read now, with the reason.

    document: None when no medium has had any. source: the medium it came from first.
    """

    document: D | None
    source: str
    failed: dict[str, str]

    def age_ns(self, now_ns: int) -> int:
        """How old the document is by this machine's clock, ns, at least 0; its own clock may be that of another day's market."""
        return max(0, now_ns - (self.document.written_ns or self.document.updated_at)) if self.document else 0


class StateReader(Generic[D]):
    """Reads the state of one process of an account from several media; owned by one thread. kind: its document.

    The highest revision wins, then the newest ``updated_at``, then the order of sources. What was seen once stays until something
    fresher is there: a medium that fell behind, lost its content or failed never takes a reader back.
    """

    def __init__(self, account: str, sources: Sequence[StateSource], kind: type[D]) -> None:
        self._account, self._sources = account, tuple(sources)
        self._documents = msgspec.json.Decoder(kind)
        self._seen: D | None = None
        self._from = ""

    def read(self) -> SeenState[D]:
        """Look at every medium; never raises: a medium that fails is named in ``failed``."""
        failed = {}
        for source in self._sources:
            try:
                content = source.read()
                document = None if content is None else self._decoded(content)
            except StoreError as error:
                failed[source.name] = error.message
                continue
            if document is not None and (self._seen is None or _freshness(document) > _freshness(self._seen)):
                self._seen, self._from = document, source.name
        return SeenState(document=self._seen, source=self._from, failed=failed)

    def _decoded(self, content: bytes) -> D:
        try:
            document = self._documents.decode(content)
        except ValueError as error:
            raise StoreError(f"what is there is no state: {error}") from error
        if document.account != self._account:
            raise StoreError(f"what is there is the state of account {document.account}")
        return document

    def close(self) -> None:
        """Let go of every medium."""
        for source in self._sources:
            source.close()


def _freshness(document: PublishedDocument) -> tuple[int, int]:
    return document.revision, document.updated_at
