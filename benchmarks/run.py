"""Measure victor against a bare httpx + json loop, with the harness of the reference shelf.

The harness is read from `../shared/bench` and runs in a folder of its own under the user's cache;
what counts are the ratios of one run, never the seconds. Knows nothing about how victor works.

    make bench                                   # import, call, stream, ttft, agent20, cli, …
    .venv/bin/python benchmarks/run.py call,stream --rounds 3
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parent.parent
HARNESS = ROOT.parent / "shared" / "bench"
MODES = "import,first,call,stream,ttft,concurrent,agent20,agent100,cli"
OVER_ANTHROPIC = ("call", "stream", "ttft", "agent20")


def main() -> None:
    """Copy the harness, make the floor's environment once, measure and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modes", nargs="?", default=MODES)
    parser.add_argument("--rounds", type=int)
    args = parser.parse_args()
    if not HARNESS.is_dir():
        sys.exit("the harness is not here: it is expected in ../shared/bench beside the checkout")
    place = platformdirs.user_cache_path("victor", appauthor=False) / "bench"
    shutil.copytree(HARNESS, place, dirs_exist_ok=True)
    floor = place / "venvs" / "floor"
    if not (floor / "bin" / "python").exists():
        venv.create(floor, with_pip=True)
        pip = [str(floor / "bin" / "python"), "-m", "pip"]
        subprocess.run([*pip, "install", "-q", "httpx"], check=True)
    _measure(place, "victor", "httpx_json", args.modes, args.rounds)
    if over_anthropic := ",".join(one for one in OVER_ANTHROPIC if one in args.modes.split(",")):
        print("\nOver Anthropic Messages; the row called anthropic is victor's:", flush=True)
        _measure(place, "anthropic", "httpx_json_anthropic", over_anthropic, args.rounds)


def _measure(place: Path, peer: str, floor: str, modes: str, rounds: int | None) -> None:
    """Measure victor in the place of a peer, and print what it comes to."""
    out = str(place / "results" / f"{peer}.json")
    command = [sys.executable, "bench.py", "run", "--peers", f"{floor},{peer}", "--out", out]
    command += ["--modes", modes, "--python", f"{peer}={sys.executable}"]
    command += ["--adapters", str(ROOT / "benchmarks" / "adapters")]
    command += ["--rounds", str(rounds)] if rounds else []
    subprocess.run(command, cwd=place, check=True)
    subprocess.run([sys.executable, "bench.py", "report", out], cwd=place, check=True)


if __name__ == "__main__":
    main()
