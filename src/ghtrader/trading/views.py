"""What the command line and the console see of the trading runtime: its state, the freshest that any medium has, never backwards."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghtrader.core.errors import StoreError
from ghtrader.ports.state_sink import StateSource
from ghtrader.trading.state.revision import StateDocument

__all__ = ["SeenState", "StateDocument", "StateReader"]

_documents = msgspec.json.Decoder(StateDocument)


class SeenState(msgspec.Struct, frozen=True, kw_only=True):
    """A state and where it was read. failed: media that could not be read now, with the reason.

    document: None when no medium has had any. source: the medium it came from first.
    """

    document: StateDocument | None
    source: str
    failed: dict[str, str]

    def age_ns(self, now_ns: int) -> int:
        """How old the document is, ns, at least 0."""
        return max(0, now_ns - self.document.updated_at) if self.document else 0


class StateReader:
    """Reads the state of one account from several media; owned by one thread.

    The highest revision wins, then the newest ``updated_at``, then the order of sources. What was seen once stays until something
    fresher is there: a medium that fell behind, lost its content or failed never takes a reader back.
    """

    def __init__(self, account: str, sources: Sequence[StateSource]) -> None:
        self._account, self._sources = account, tuple(sources)
        self._seen: StateDocument | None = None
        self._from = ""

    def read(self) -> SeenState:
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

    def _decoded(self, content: bytes) -> StateDocument:
        try:
            document = _documents.decode(content)
        except msgspec.MsgspecError as error:
            raise StoreError(f"what is there is no state: {error}") from error
        if document.account != self._account:
            raise StoreError(f"what is there is the state of account {document.account}")
        return document

    def close(self) -> None:
        """Let go of every medium."""
        for source in self._sources:
            source.close()


def _freshness(document: StateDocument) -> tuple[int, int]:
    return document.revision, document.updated_at
