"""``tumorlens`` and ``python -m tumorlens``: the command line.

It imports nothing before it can end in order: whoever presses Ctrl+C while the rest is being
imported sees no traceback.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from tumorlens.apps.cli.main import main as run  # noqa: PLC0415

        run()
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
