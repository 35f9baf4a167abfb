from __future__ import annotations

import pytest

from ghtrader.core import errors
from ghtrader.core.errors import EXIT_CODES, GhtraderError, exit_code_of
from ghtrader.core.ids import canonical_json, content_hash, file_sha256
from ghtrader.core.trading_day import TradingDay


def all_errors() -> list[type[GhtraderError]]:
    found = [getattr(errors, name) for name in errors.__all__]
    return [item for item in found if isinstance(item, type) and issubclass(item, GhtraderError)]


def test_every_error_stands_in_the_tree_at_the_top_of_its_module() -> None:
    assert errors.__doc__ is not None
    for kind in all_errors():
        assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2), ("LockHeldError", 3), ("SchemaError", 4), ("ProviderMaintenanceError", 5), ("StoreError", 6),
        ("ConfigError", 7), ("RiskDenied", 8), ("HaltedError", 8), ("GhtraderError", 1),
    ],
)  # fmt: skip
def test_exit_codes_are_those_of_the_table(name: str, code: int) -> None:
    kind = errors.GhtraderError if name == "GhtraderError" else getattr(errors, name)
    assert exit_code_of(kind("x")) == code


def test_an_interrupt_is_130_and_the_last_row_catches_everything() -> None:
    assert exit_code_of(KeyboardInterrupt()) == 130
    assert EXIT_CODES[-1][0] is BaseException


def test_an_error_carries_context_hint_and_retryability() -> None:
    error = errors.ProviderTransientError("link lost", hint="try again", host="x")
    assert error.as_dict() == {
        "error": "ProviderTransientError", "message": "link lost", "hint": "try again", "context": {"host": "x"}, "retryable": True,
    }  # fmt: skip


def test_equal_values_have_equal_identities_whatever_their_key_order() -> None:
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_file_hash_is_that_of_the_bytes(tmp_path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(str(tmp_path / "x")).startswith("ba7816bf")


@pytest.mark.parametrize("text", ["2025-13-01", "today", "2025/06/05", ""])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(errors.CalendarError):
        TradingDay.parse(text)
