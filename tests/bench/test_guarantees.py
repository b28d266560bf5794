"""The table of guarantees, and what the folders of the systems say for it."""

import json
import re

import msgspec
import pytest

from bench.systems.guarantees import COLUMNS, TITLES, table
from bench.systems.system import System, load, names

EXACT = re.compile(r"\d+\.\d+\.\d+")


def every_system() -> list[System]:
    return [load(name) for name in names()]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_system_has_its_row_in_the_fixed_order() -> None:
    lines = table(reversed(every_system())).splitlines()
    assert [cells(line)[0] for line in lines[2:]] == [TITLES[name] for name in TITLES if name in names()]


def test_every_cell_of_the_table_is_filled() -> None:
    rows = [cells(line) for line in table(every_system()).splitlines()]
    assert {len(row) for row in rows} == {len(COLUMNS) + 1}
    assert all(cell for row in rows for cell in row)


def test_a_part_of_the_systems_keeps_the_order() -> None:
    lines = table([load("rq"), load("bullmq")]).splitlines()
    assert [cells(line)[0] for line in lines[2:]] == ["BullMQ", "rq"]


@pytest.mark.parametrize("field", COLUMNS)
def test_a_system_that_says_nothing_about_a_column_is_an_error(field: str) -> None:
    silent = msgspec.structs.replace(load("bullmq"), **{field: " "})
    with pytest.raises(ValueError, match=f"bullmq does not say anything about '{field}'"):
        table([silent])


def test_a_system_without_a_place_in_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place in the table for bee"):
        table([msgspec.structs.replace(load("bullmq"), name="bee")])


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    barred = msgspec.structs.replace(load("bullmq"), fence="a|b")
    assert "a\\|b" in cells(table([barred]).splitlines()[2])


def test_the_packages_of_node_are_pinned_by_version_alone() -> None:
    manifests = [each.folder / "package.json" for each in every_system() if each.language == "node"]
    assert manifests
    for path in manifests:
        manifest = json.loads(path.read_text())
        assert manifest["private"] is True
        assert not {"devDependencies", "optionalDependencies", "scripts"} & manifest.keys()
        assert manifest["dependencies"]
        assert all(EXACT.fullmatch(version) for version in manifest["dependencies"].values())
        assert "://" not in path.read_text()
        assert not any(path.parent.glob("*lock*"))
