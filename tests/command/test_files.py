"""Sources, targets and the ledger of conversions: what is refused, what is kept, what is never replaced."""

import os
from pathlib import Path

import pytest

from gateway.command.failure import CommandFailure, ExitCode
from gateway.command.ledger import Entry, LedgerEntry
from gateway.command.source import read_source
from gateway.command.target import Target


def _code(function: object, *arguments: object, **named: object) -> str:
    with pytest.raises(CommandFailure) as refused:
        function(*arguments, **named)  # type: ignore[operator]
    assert refused.value.exit_code == ExitCode.USAGE
    assert refused.value.message
    assert refused.value.suggestion
    return refused.value.code


def test_files_that_cannot_be_a_source(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert _code(read_source, str(tmp_path / "missing.mp4")) == "FILE_NOT_FOUND"
    assert _code(read_source, str(empty / "below.mp4")) == "FILE_UNREADABLE"
    assert _code(read_source, str(tmp_path)) == "FILE_IS_FOLDER"
    assert _code(read_source, str(empty)) == "UPLOAD_EMPTY"
    assert _code(read_source, str(pipe)) == "FILE_NOT_REGULAR"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("https://a.example/films/My%20film.mp4?token=x", "My film.mp3"),
        ("https://a.example/", "output.mp3"),
        ("https://a.example/..%2F..%2Fetc%2Fpasswd", None),
    ],
)
def test_result_is_named_after_an_address(source: str, name: str | None) -> None:
    made = read_source(source).result_name("mp3")
    assert "/" not in made
    assert not made.startswith(".")
    assert name is None or made == name


def test_changed_file_is_another_source(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"one")
    before = read_source(str(file)).identity
    assert read_source(str(file)).identity == before
    file.write_bytes(b"three")
    assert read_source(str(file)).identity != before


def test_targets_that_are_refused_before_any_work(tmp_path: Path) -> None:
    source = tmp_path / "source.mp3"
    source.write_bytes(b"x")
    assert _code(Target, source, replace=False, source=None) == "OUTPUT_EXISTS"
    assert _code(Target, source, replace=True, source=source) == "OUTPUT_IS_SOURCE"
    assert _code(Target, tmp_path, replace=True, source=None) == "OUTPUT_IS_FOLDER"
    assert _code(Target, tmp_path / "no" / "a.mp3", replace=False, source=None) == "OUTPUT_FOLDER_MISSING"
    dangling = tmp_path / "link.mp3"
    dangling.symlink_to(tmp_path / "nowhere")
    assert _code(Target, dangling, replace=False, source=None) == "OUTPUT_EXISTS"


def test_force_replaces_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "out.mp3").write_text("old")
    target = Target(tmp_path / "out.mp3", replace=True, source=None)
    target.partial("j").write_text("new")
    target.put(target.partial("j"))
    assert target.path.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp3"]


def test_ledger_keeps_the_key_until_the_end_was_seen(tmp_path: Path) -> None:
    identity = ["", "a.mp4", "mp3", "", "/out.mp3"]
    first = LedgerEntry(tmp_path, identity)
    assert not first.is_old
    first.keep(Entry(first.entry.idempotency_key, "u00-1"))
    first.close()
    again = LedgerEntry(tmp_path, identity)
    assert again.is_old
    assert again.entry == first.entry
    assert not LedgerEntry(tmp_path, [*identity[:-1], "/other.mp3"]).is_old
    again.forget()
    again.close()
    assert not LedgerEntry(tmp_path, identity).is_old


def test_two_equal_conversions_at_once_do_not_share_a_job(tmp_path: Path) -> None:
    identity = ["", "a.mp4", "mp3", "", "/out.mp3"]
    first = LedgerEntry(tmp_path, identity)
    first.keep(first.entry)
    second = LedgerEntry(tmp_path, identity)
    assert not second.is_old
    assert second.entry.idempotency_key != first.entry.idempotency_key
    second.forget()
    first.close()
    assert LedgerEntry(tmp_path, identity).is_old, "the other conversion's end does not touch this one's entry"


def test_ledger_without_a_writable_folder_does_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    entry = LedgerEntry(tmp_path / "file" / "converts", ["a"])
    entry.keep(entry.entry)
    entry.forget()
    assert entry.entry.idempotency_key
