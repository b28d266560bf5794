"""The annotated example and the settings table say what the settings tree says."""

import tomllib
from pathlib import Path

import pytest

from actors.settings import Settings, environment_name, keys, load
from actors.settings_values import SettingsError
from tests.deploy.settings_pages import EXAMPLE, OPERATIONS, defaults, example, with_table

RENEW = "run: python -m tests.deploy.settings_pages"


def test_the_example_is_current() -> None:
    assert EXAMPLE.read_text("utf-8") == example(), RENEW


def test_the_settings_table_is_current() -> None:
    page = OPERATIONS.read_text("utf-8")
    assert page == with_table(page), RENEW


def test_the_example_changes_nothing() -> None:
    assert load({}, EXAMPLE) == load({})


def test_the_example_names_every_key() -> None:
    tree = tomllib.loads(EXAMPLE.read_text("utf-8"))
    active = {f"{section}.{field}" for section, fields in tree.items() for field in fields}
    without_default = {key for key, value in defaults() if value is None}
    assert active | without_default == set(keys())
    assert not active & without_default


def test_every_key_has_its_own_environment_name() -> None:
    names = [environment_name(key) for key in keys()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("text", "named"),
    [("[redis]\nulr = 'x'\n", "redis.url"), ("[fetch]\nbudget = 'many'\n", "fetch.budget")],
)
def test_a_wrong_file_is_refused_by_name(text: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=named):
        load({}, path)


def test_a_stopping_worker_outlives_its_children() -> None:
    """A role ends its children within kill_grace_s, so the drain must leave room for it inside one lease and more."""
    settings = Settings()
    for stage in (settings.ingest, settings.fetch, settings.transcode, settings.store, settings.notify):
        assert stage.kill_grace_s < stage.drain_grace_s
