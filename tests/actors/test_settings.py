"""The settings tree: three sources, one winner, and errors that name the key."""

from pathlib import Path

import msgspec
import pytest

from actors.kernel import KernelOptions
from actors.settings import KernelSettings, Settings, environment_name, keys, load
from actors.settings_values import Secret, SettingsError

HOME = {"XDG_DATA_HOME": "/data"}


def problem(environ: dict[str, str], path: Path | None = None, overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, path, overrides)
    return str(caught.value)


def test_defaults_need_nothing() -> None:
    settings = load(HOME)
    assert settings.data_dir == Path("/data/reelway")
    assert settings.storage_url == "file:///data/reelway/storage"
    assert settings.gateway.host == "127.0.0.1"


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "reelway.toml"
    path.write_text('[fetch]\nbudget = 3\nconcurrency = 3\nstall_timeout_s = 3\n[egress]\nallow = ["10.0.0.0/8"]\n')
    environ = {**HOME, "REELWAY_CONFIG": str(path), "REELWAY_FETCH_BUDGET": "4", "REELWAY_FETCH_CONCURRENCY": "4"}
    settings = load(environ, None, {"fetch.concurrency": 5})
    assert (settings.fetch.stall_timeout_s, settings.fetch.budget, settings.fetch.concurrency) == (3.0, 4, 5)
    assert settings.egress.allow == ("10.0.0.0/8",)


def test_short_names_and_lists() -> None:
    environ = {
        **HOME,
        "REELWAY_EGRESS_ALLOW": "127.0.0.0/8, ::1/128",
        "REELWAY_PARTITIONS": "1",
        "REELWAY_DATA_DIR": "/d",
    }
    settings = load(environ)
    assert settings.egress.allow == ("127.0.0.0/8", "::1/128")
    assert settings.redis.partitions == 1
    assert settings.data_dir == Path("/d")
    assert load({**HOME, "REELWAY_REDIS_PARTITIONS": "2"}).redis.partitions == 2


def test_secrets_are_read_from_files_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("rw_secretsecret\n")
    settings = load({**HOME, "REELWAY_GATEWAY_KEY_FILE": str(path), "REELWAY_REDIS_PASSWORD": "hunter2"})
    assert settings.gateway.key == Secret("rw_secretsecret")
    assert settings.gateway.key is not None
    assert settings.gateway.key.reveal() == "rw_secretsecret"
    assert "secretsecret" not in repr(settings) + str(settings.gateway.key)
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"REELWAY_FECH_BUDGET": "1"}, "REELWAY_FECH_BUDGET is not a setting. Did you mean REELWAY_FETCH_BUDGET?"),
        ({"REELWAY_FETCH_BUDGET": "many"}, "REELWAY_FETCH_BUDGET: 'many' is not usable"),
        ({"REELWAY_FETCH_BUDGET": "0"}, ">= 1"),
        ({"REELWAY_LOGGING_LEVEL": "loud"}, "'loud'"),
        ({"REELWAY_GATEWAY_PORT": "99999"}, "REELWAY_GATEWAY_PORT"),
        ({"REELWAY_FETCH_BUDGET_FILE": "/x"}, "only secrets are read from files"),
        ({"REELWAY_GATEWAY_KEY_FILE": "/no/such/file"}, "cannot be read"),
        ({"REELWAY_KERNEL_BEAT_S": "6"}, "kernel.beat_s must be at most half of kernel.lease_s"),
        ({"REELWAY_CONFIG": "/no/such/file"}, "cannot be read"),
    ],
)
def test_mistakes_in_the_environment_are_named(environ: dict[str, str], words: str) -> None:
    assert words in problem({**HOME, **environ})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fetch]\nbuget = 3\n", "fetch.buget is not a known key in"),
        ("[fetch]\nbuget = 3\n", "Did you mean fetch.budget?"),
        ("[fetch]\nbudget = '3x'\n", "fetch.budget: '3x' is not usable"),
        ("fetch = 3\n", "fetch is not a known key"),
        ("[[[", "is not valid TOML"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "reelway.toml"
    path.write_text(text)
    assert words in problem(HOME, path)


def test_an_unknown_flag_is_named() -> None:
    assert "fetch.buget is not a known setting" in problem(HOME, None, {"fetch.buget": 1})


def test_every_key_has_a_name_a_description_and_a_default() -> None:
    names = [environment_name(key) for key in keys()]
    assert len(names) == len(set(names))
    defaults = Settings()
    for key in keys():
        value: object = defaults
        for part in key.split("."):
            value = getattr(value, part)


def test_the_kernel_reads_the_same_settings_with_the_same_defaults() -> None:
    assert msgspec.structs.asdict(KernelSettings()) == msgspec.structs.asdict(KernelOptions())
