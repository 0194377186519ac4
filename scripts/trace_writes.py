"""Say what commands send, look up and write, as the system's calls show it.

    python scripts/trace_writes.py                  # every command, as a table
    python scripts/trace_writes.py predict explain  # these

Each runs under strace with a home of its own that is empty, in a network of its own that is
empty where this system allows that (`unshare`), on drawn pictures, and with nothing set that
switches a library's reports off. `gui` starts a screen of its own (apt install strace xvfb).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tumorlens.data.phantom import write_phantoms

SWITCHES: Final = ("CI", "GITHUB_ACTIONS", "ORT_", "HF_", "KAGGLE", "DO_NOT_TRACK", "XDG_", "MPL")
"""How variables begin that switch reports off, or move what is written."""

_GUI: Final = """
import sys
from tumorlens.apps.cli.main import main
from tumorlens.apps.desktop.window import Window
run = Window.run
def run_and_close(window):
    window.root.after(15000, window.close)
    run(window)
Window.run = run_and_close
sys.argv = ["tumorlens", "gui", "set/Testing"]
main()
"""
_WEB: Final = """
import fcntl, os, signal, socket, struct, sys, threading, time, urllib.error, urllib.request
from pathlib import Path
from tumorlens.apps.cli.main import main
UP, LOOPBACK, RUNNING, SET_FLAGS = 1, 8, 64, 0x8914
with socket.socket() as any_socket:  # in a network of its own the loopback is down
    fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", UP | LOOPBACK | RUNNING))
def ask():
    try:
        picture = next(Path("set/Testing/glioma").iterdir()).read_bytes()
        for path in ("predict", "explain"):
            request = urllib.request.Request(f"http://127.0.0.1:8642/api/v1/{path}", picture)
            request.add_header("Content-Type", "application/octet-stream")
            for _ in range(300):
                try:
                    urllib.request.urlopen(request).read()
                    break
                except urllib.error.URLError as error:
                    if not isinstance(error.reason, ConnectionRefusedError):
                        raise
                    time.sleep(0.1)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=ask, daemon=True).start()
sys.argv = ["tumorlens", "web"]
main()
"""
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "predict": ("-m", "tumorlens", "predict", "set/Testing"),
    "explain": ("-m", "tumorlens", "explain", "set/Testing/glioma", "--out", "out/records"),
    "evaluate": ("-m", "tumorlens", "evaluate", "set", "--out", "out/evaluation"),
    "train": (
        *("-m", "tumorlens", "train", "--data", "set", "--out", "out/run", "--network", "tiny"),
        *("--size", "64", "--weights", "random", "--batch", "8", "--epochs", "1"),
    ),
    "gui": ("-c", _GUI),
    "web": ("-c", _WEB),
}
"""What is run, as arguments of Python."""

KNOWN: Final = {
    ".cache/matplotlib": "Matplotlib's list of fonts",
    ".config/matplotlib": "Matplotlib's settings, an empty folder",
    ".keras": "Keras's settings, as they are by default",
    ".config/tumorlens": "the window's size, last folder, light or dark",
}
"""What may stay in a home."""

_HEADINGS: Final = (
    *("command", "addresses reached for", "names looked up", "below `--out`"),
    *("made for a while", "kept in the home", "left elsewhere"),
)
_CALLS: Final = (
    "connect,sendto,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,mknod,mknodat,truncate"
)
_MAKES: Final = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|^(?!open|connect|sendto)")
_NO_FILES: Final = re.compile(r"^/(dev/(null|tty|shm/|urandom|pts/|ptmx)|proc/|sys/|memfd:)")


@dataclass(frozen=True, slots=True)
class Trace:
    """What one command did.

    Parameters
    ----------
    status
        Its exit status.
    said
        What it wrote to standard error.
    sent
        Calls that reach for an address of the internet.
    asked
        Looks at who resolves names, or at this computer's lasting number.
    written
        Files and folders below the outputs that were named.
    passing
        Those that were made for a while and are gone.
    kept
        What `KNOWN` names, and is in the home now.
    left
        What else is still there, and nobody named.
    """

    status: int
    said: str
    sent: list[str]
    asked: list[str]
    written: list[str]
    passing: list[str]
    kept: list[str]
    left: list[str]


def alone() -> list[str]:
    """Begin a command that runs without any network, where this system can do that."""
    unshare = shutil.which("unshare")
    if unshare is None or sys.platform != "linux":
        return []
    tried = subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False)  # noqa: S603
    return [unshare, "-rn"] if tried.returncode == 0 else []


def trace(name: str, folder: Path) -> Trace:
    """Run one of `COMMANDS` in a folder that holds ``set``, the drawn pictures."""
    home, log, temporary = (folder / f"{name}-{part}" for part in ("home", "log", "tmp"))
    home.mkdir()
    temporary.mkdir()
    before = set((folder / "out").rglob("*"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SWITCHES)}
    screen = ["xvfb-run", "-a"] if name == "gui" else []
    watched = ["strace", "-f", "-qq", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(log)]
    done = subprocess.run(  # noqa: S603
        [*alone(), *screen, *watched, sys.executable, *COMMANDS[name]],
        env=kept | {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = [line.split(None, 1)[1] for line in log.read_text(errors="replace").splitlines()]
    made = sorted(set(_made(lines, folder)))
    there = [path for path in made if os.path.lexists(path)]
    out = str(folder / "out")
    return Trace(
        status=done.returncode,
        said=done.stderr,
        sent=[x for x in lines if x.startswith(("connect", "sendto")) and _leaves(x)],
        asked=[x for x in lines if re.search(r'"/etc/(resolv\.conf|machine-id)"', x)],
        written=[str(path) for path in (folder / "out").rglob("*") if path not in before],
        passing=[path for path in made if path not in there and not path.startswith(out)],
        kept=[known for known in KNOWN if (home / known).exists()],
        left=[x for x in there if not x.startswith(out) and not _is_known(Path(x), home)],
    )


def _leaves(call: str) -> bool:
    """Say whether a call reaches for an address that is not this computer's own."""
    return "AF_INET" in call and '"127.0.0.1"' not in call


def _is_known(path: Path, home: Path) -> bool:
    """Say whether a path is one of those that may stay, or a folder on the way there."""
    places = [home / known for known in KNOWN]
    return any(path in (place, *place.parents) or place in path.parents for place in places)


def _made(lines: list[str], folder: Path) -> Iterator[str]:
    """Name every path that a call made or opened for writing."""
    for line in lines:
        call = re.match(r"\w+\(", line)
        if call is None or not _MAKES.search(line) or re.search(r"= -1 E\w+ ", line):
            continue
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
            path = os.path.normpath(folder / text)  # what is relative lies below it
            if not _NO_FILES.match(path):
                yield path


def table(found: dict[str, Trace]) -> str:
    """Lay it out in Markdown."""
    rows = [
        f"| {' | '.join(_HEADINGS)} |",
        "|---" * len(_HEADINGS) + "|",
    ]
    for name, seen in found.items():
        counts = [len(x) for x in (seen.sent, seen.asked, seen.written, seen.passing)]
        kept = ", ".join(f"`{known}`" for known in seen.kept) or "nothing"
        cells = [f"`{name}`", *map(str, counts), kept, str(len(seen.left))]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main(names: Sequence[str]) -> None:
    """Trace and print."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_phantoms(folder / "set", training=4, testing=2)
        found = {name: trace(name, folder) for name in names}
        print(table(found))
        for name, seen in found.items():
            for what in ("sent", "asked", "passing", "left"):
                for item in getattr(seen, what):
                    print(f"{name}: {what}: {item.replace(place, '')}")
            if seen.status:
                print(f"{name}: exit status {seen.status}: {seen.said}")
    print("without network" if alone() else "with the network: this system cannot do without")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", choices=[*COMMANDS, []])
    main(parser.parse_args().commands or list(COMMANDS))
