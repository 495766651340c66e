from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from victor.agent.grants import Grants
from victor.errors import ConfigError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def grants(tmp_path: Path, environ: dict[str, str]) -> Grants:
    return Grants(tmp_path, environ)


def rules_of(grants: Grants) -> list[str]:
    return [one.rule for one in grants.list()]


def test_answers_are_kept_listed_and_revoked(
    grants: Grants, tmp_path: Path, environ: dict[str, str]
) -> None:
    first = grants.add("shell(=make)")
    assert grants.add("shell(=make)") == first
    grants.add("write(./a.py)")
    again = Grants(tmp_path, environ)
    assert sorted(rules_of(again)) == ["shell(=make)", "write(./a.py)"]
    assert again.revoke(first.id[:6]) == first
    assert rules_of(grants) == ["write(./a.py)"]


def test_an_answer_holds_in_its_project_alone(
    grants: Grants, tmp_path: Path, environ: dict[str, str]
) -> None:
    grants.add("shell(=make)")
    (tmp_path / "sub").mkdir()
    assert Grants(tmp_path / "sub", environ).list() == ()
    (tmp_path / "link").symlink_to(tmp_path)
    assert rules_of(Grants(tmp_path / "link", environ)) == ["shell(=make)"]


def test_nobody_else_can_read_or_write_the_answers(grants: Grants) -> None:
    grant = grants.add("shell(=make)")
    file = grants.directory / f"{grant.id}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(grants.directory.stat().st_mode) == 0o700
    assert [one.name for one in grants.directory.iterdir()] == [file.name]


def _make_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.chmod(0o622),
        lambda file: file.parent.chmod(0o777),
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[" * 90_000),
        lambda file: file.write_text(file.read_text().replace("=make", "=evil")),
        lambda file: file.write_text(file.read_text().replace('"version": 1', '"version": 2')),
        lambda file: file.rename(file.with_name("00000000.json")),
        lambda file: (file.rename(file.with_name("x")), file.symlink_to("x")),
        _make_fifo,
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["file", "directory", "cut", "deep", "rule", "version", "name", "link", "fifo", "dir"],
)
def test_what_is_not_as_it_was_stored_counts_for_nothing(grants: Grants, spoil: object) -> None:
    grant = grants.add("shell(=make)")
    assert callable(spoil)
    spoil(grants.directory / f"{grant.id}.json")
    assert grants.list() == ()


def test_an_answer_copied_from_another_project_counts_for_nothing(
    grants: Grants, tmp_path: Path, environ: dict[str, str]
) -> None:
    grant = grants.add("shell(=make)")
    (tmp_path / "sub").mkdir()
    other = Grants(tmp_path / "sub", environ)
    other.directory.mkdir(parents=True)
    content = (grants.directory / f"{grant.id}.json").read_text()
    (other.directory / f"{grant.id}.json").write_text(content)
    assert json.loads(content)["workspace"] == str(tmp_path)
    assert other.list() == ()


@pytest.mark.parametrize("id_", ["", "zz"])
def test_revoking_what_is_not_there_says_so(grants: Grants, id_: str) -> None:
    grants.add("shell(=make)")
    with pytest.raises(ConfigError, match="victor permissions list"):
        grants.revoke(id_)


def test_revoking_what_could_be_two_says_so(grants: Grants) -> None:
    seen: dict[str, str] = {}
    for number in range(17):
        grant = grants.add(f"shell(=make {number})")
        seen[grant.id[0]] = grant.id
    twice = [one.id[0] for one in grants.list() if seen[one.id[0]] != one.id]
    with pytest.raises(ConfigError, match="more than one answer"):
        grants.revoke(twice[0])


def test_what_cannot_be_stored_says_where(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot remember this in"):
        Grants(tmp_path, environ).add("shell(=make)")


def test_a_failed_write_leaves_nothing_behind(
    grants: Grants, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(ConfigError, match="No space left"):
        grants.add("shell(=make)")
    assert list(grants.directory.iterdir()) == []
