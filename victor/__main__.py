"""`victor` and `python -m victor`: where the process starts.

Answers `--version` before anything is imported that takes time. Knows nothing else.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from victor import __version__

        sys.stdout.write(f"victor {__version__}\n")
        return
    try:
        from victor.cli.main import main as run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are still being loaded
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
