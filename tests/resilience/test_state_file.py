from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from victor.resilience.state_file import (
    AttemptRow,
    CircuitRow,
    KeyRow,
    Rows,
    StateFile,
    clean,
    is_corrupt,
)

BOOT = "a boot"
OPEN = CircuitRow("api", "", "open", 20.0, 2, 1, "me", 30.0, "ProviderServerError: HTTP 500")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "resilience.db"


@pytest.fixture
def file(path: Path) -> Iterator[StateFile]:
    with closing(StateFile(path, BOOT)) as found:
        yield found


@pytest.fixture
def other(path: Path) -> Iterator[StateFile]:
    with closing(StateFile(path, BOOT)) as found:
        yield found


def _read(file: StateFile) -> Rows:
    rows = file.read()
    assert rows is not None
    return rows


def test_what_one_wrote_another_reads(file: StateFile, other: StateFile) -> None:
    assert _read(other) == Rows({}, {})
    key = KeyRow("sk-…1234", "parked", "big", float("inf"), "429")
    assert file.swap(OPEN, 0)
    file.save_key(key)
    assert _read(other) == Rows({("api", ""): OPEN}, {("sk-…1234", "big"): key})
    assert other.read() is None
    file.save_key(replace(key, state="ok", until=0.0))
    assert _read(other).keys["sk-…1234", "big"].state == "ok"


def test_of_two_who_saw_the_same_one_wins(file: StateFile, other: StateFile) -> None:
    assert file.swap(OPEN, 0)
    assert not other.swap(OPEN, 0)
    second = replace(OPEN, epoch=2, probe_owner="other")
    assert other.swap(second, 1)
    assert not file.swap(replace(second, probe_owner="me"), 1)
    assert _read(file).circuits["api", ""] == second


def test_rows_of_another_boot_are_as_good_as_absent(path: Path, file: StateFile) -> None:
    file.swap(replace(OPEN, epoch=7), 0)
    file.save_key(KeyRow("k", "parked"))
    file.add_attempts([AttemptRow("api", "", 1.0, 1.0, "ok")])
    with closing(StateFile(path, "the next boot")) as after:
        assert after.read() == Rows({}, {})
        assert after.attempts(0.0) == []
        assert after.swap(OPEN, 0)
        assert not after.swap(OPEN, 0)


def test_the_last_five_hundred_attempts_of_each_endpoint_are_kept(file: StateFile) -> None:
    for start in range(0, 1200, 300):
        file.add_attempts(
            [AttemptRow("busy", "m", float(start + n), 0.5, "fail", "E: x") for n in range(300)]
        )
    file.add_attempts([AttemptRow("quiet", "", 3.0, 0.5, "ok")])
    found = file.attempts(0.0)
    assert [each.at for each in found if each.endpoint == "busy"] == [*map(float, range(700, 1200))]
    assert found[-1] == AttemptRow("quiet", "", 3.0, 0.5, "ok")
    assert len(file.attempts(1199.0)) == 1


def test_what_is_older_than_a_day_goes(path: Path, file: StateFile) -> None:
    file.swap(OPEN, 0)
    file.save_key(KeyRow("k", "parked"))
    file.add_attempts([AttemptRow("api", "", 1.0, 1.0, "ok")])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table in ("attempts", "breaker", "keys"):
            connection.execute(f"UPDATE {table} SET updated = updated - 90000")  # noqa: S608 - ours
    with closing(StateFile(path, BOOT)) as later:
        later.add_attempts([AttemptRow("api", "", 2.0, 1.0, "ok")])
        assert [each.at for each in later.attempts(0.0)] == [2.0]
        assert later.read() == Rows({}, {})


@pytest.mark.skipif(sys.platform == "win32", reason="it has other permissions")
def test_nobody_else_may_read_it(path: Path, file: StateFile) -> None:
    file.read()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_was_replaced_is_opened_again(
    path: Path, file: StateFile, other: StateFile
) -> None:
    file.swap(OPEN, 0)
    path.unlink()
    assert file.read() == Rows({}, {})
    assert file.swap(OPEN, 0)
    assert ("api", "") in _read(other).circuits


def test_an_attempt_that_cannot_be_written_takes_its_batch_along(file: StateFile) -> None:
    good = AttemptRow("api", "", 1.0, 1.0, "ok")
    with pytest.raises(sqlite3.IntegrityError):
        file.add_attempts([good, replace(good, vote=None)])  # type: ignore[arg-type]  # NOT NULL
    assert file.attempts(0.0) == []
    file.add_attempts([good])
    assert file.attempts(0.0) == [good]


def test_a_writer_that_does_not_end_is_waited_for_and_no_longer(path: Path) -> None:
    with closing(StateFile(path, BOOT, busy_s=0.05)) as file:
        file.read()
        with closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            with pytest.raises(sqlite3.OperationalError, match="locked") as caught:
                file.swap(OPEN, 0)
            assert not is_corrupt(caught.value)
            writer.execute("ROLLBACK")
        assert file.swap(OPEN, 0)


def test_a_newer_victors_file_is_left_as_it_is(path: Path, file: StateFile) -> None:
    file.read()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with closing(StateFile(path, BOOT)) as older:
        with pytest.raises(sqlite3.Error, match="a newer victor made it") as caught:
            older.read()
        assert not is_corrupt(caught.value)


def _not_a_database(path: Path) -> None:
    path.write_bytes(b"this is no database, but long enough to be read as one" * 20)


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(4096))


def _other_tables(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE breaker (name)")


def _no_tables(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 1")


def _no_number(path: Path) -> None:
    with closing(StateFile(path, BOOT)) as file:
        file.swap(replace(OPEN, until="soon"), 0)  # type: ignore[arg-type]  # damaged


@pytest.mark.parametrize(
    "damage",
    [_not_a_database, _zeros, _other_tables, _no_tables, _no_number],
    ids=lambda one: one.__name__.strip("_"),
)
def test_a_file_that_is_no_use_is_moved_aside(path: Path, damage: object) -> None:
    path.parent.mkdir()
    damage(path)  # type: ignore[operator]  # one of those above
    with closing(StateFile(path, BOOT)) as file:
        with pytest.raises((sqlite3.Error, ValueError)) as caught:
            file.read()
        assert is_corrupt(caught.value)
        assert file.set_aside() == Path(f"{path}.corrupt-1")
        assert file.swap(OPEN, 0)
        assert file.set_aside() == Path(f"{path}.corrupt-2")


def test_of_the_files_that_were_moved_aside_few_are_kept(path: Path) -> None:
    path.parent.mkdir()
    for _ in range(5):
        with closing(StateFile(path, BOOT)) as file:
            file.read()
            assert file.set_aside() is not None
    assert sorted(each.name for each in path.parent.iterdir()) == [
        f"resilience.db.corrupt-{n}" for n in (1, 2, 3)
    ]


def test_a_new_file_is_not_moved_aside_for_the_old_one(
    path: Path, file: StateFile, other: StateFile
) -> None:
    file.read()
    other.read()
    assert file.set_aside() is not None
    file.swap(OPEN, 0)
    assert other.set_aside() is None
    assert ("api", "") in _read(other).circuits


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_end_in_an_error_or_in_rows(path: Path, data: st.DataObject) -> None:
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with closing(StateFile(path, BOOT)) as file:
        file.swap(OPEN, 0)
        file.save_key(KeyRow("k", "parked", "m", 1.0, "429"))
        file.add_attempts([AttemptRow("api", "m", 1.0, 0.5, "ok")] * 3)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with closing(StateFile(path, BOOT)) as file:
        try:
            rows = file.read()
            assert rows is None or all(isinstance(x.until, float) for x in rows.circuits.values())
            file.swap(OPEN, 0)
            file.add_attempts([AttemptRow("api", "m", 1.0, 0.5, "ok")])
        except (sqlite3.Error, ValueError, OverflowError):
            file.set_aside()
            assert file.read() == Rows({}, {})


@given(st.text(st.characters()))
def test_clean_text_can_be_written_and_the_rest_stays(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert len(cleaned) == len(text)
    assert clean(cleaned) == cleaned
