"""When a run writes a history, and what of its address is secret."""

from pathlib import Path

import pytest

from tests.runs import SMALLEST
from tickwright.app.config import Config, load_config
from tickwright.app.history_open import history_dsn, history_secrets
from tickwright.core.errors import ConfigError

DSN = "postgresql://me:can%20ary@host/x"
OTHER = "postgresql://other@host/y?password=ca%20nary"


def config(folder: Path, text: str) -> Config:
    path = folder / "my.toml"
    path.write_text(SMALLEST + text)
    return load_config(path)


@pytest.mark.parametrize(
    ("table", "variable", "expected"),
    [
        ("", None, None),
        # A variable alone makes no run write: the table says that one is wanted.
        ("", DSN, None),
        ("[history]", None, None),
        ("[history]", DSN, DSN),
        (f'[history]\ndsn = "{DSN}"', None, DSN),
        (f'[history]\ndsn = "{DSN}"', OTHER, OTHER),
        (f'[history]\ndsn = "{DSN}"\nlive = false', OTHER, None),
    ],
)
def test_run_when_table_and_variable_differ_then_writes_where_both_say(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    variable: str | None,
    expected: str | None,
):
    monkeypatch.delenv("TICKWRIGHT_HISTORY_DSN", raising=False)
    if variable is not None:
        monkeypatch.setenv("TICKWRIGHT_HISTORY_DSN", variable)
    assert expected == history_dsn(config(tmp_path, table))


def test_secrets_when_an_address_has_a_password_then_are_known_in_both_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("TICKWRIGHT_HISTORY_DSN", raising=False)
    made = config(tmp_path, f'[history]\ndsn = "{DSN}"')
    assert {"can%20ary", "can ary"} == set(history_secrets(made))
    monkeypatch.setenv("TICKWRIGHT_HISTORY_DSN", OTHER)
    assert {"ca nary"} == set(history_secrets(made))
    assert [] == history_secrets(config(tmp_path, ""))


def test_configuration_when_the_address_is_none_then_is_refused_without_showing_it(tmp_path: Path):
    with pytest.raises(ConfigError, match="postgresql://USER:PASSWORD") as told:
        config(tmp_path, '[history]\ndsn = "mysql://me:canary@host/x"')
    assert "canary" not in str(told.value)
