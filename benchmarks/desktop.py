"""How soon the window is there, how soon it answers, and whether it ever freezes.

    python benchmarks/desktop.py [--model MODEL] [--files 200] [--size 512] [--repeats 3]

Needs a screen: on Linux without one, it starts Xvfb. The pictures are drawn heads. Each
repeat is a fresh process; the medians of the repeats are printed, and the longest gaps.
Times count from the start of the Python process.

- first paint: the empty window is on the screen
- model ready: the model is loaded
- first answer: the first picture's answer is in the list
- first overlay: its explanation is drawn
- batch: the longest time between two turns of the event loop while all files are
  classified, and while the model is loaded before that. A turn is a timer of 1 ms.
- inner layer: how long a first inner layer takes, which starts Keras in a process of its own,
  and the longest gap meanwhile (skipped where Keras is not installed)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom

ONE = """
import json, sys, time
began = float(sys.argv[1])
import tkinter as tk
from dataclasses import replace
from tumorlens.apps.desktop.app import quick_turns
from tumorlens.apps.desktop.commands import list_commands
from tumorlens.apps.desktop.screen import make_root
from tumorlens.apps.session.view_model import ViewModel
from tumorlens.apps.desktop.window import Window

def load():
    from tumorlens.classifier import load
    return load(sys.argv[3] or None)

root = make_root()
model = ViewModel(load)
window = Window(root, model, 1.0, list_commands)
root.update()
found = {"first paint": time.time() - began}
gaps = {}
stage = ["loading"]
last = [time.perf_counter()]

def turn():
    now = time.perf_counter()
    gaps[stage[0]] = max(gaps.get(stage[0], 0.0), now - last[0])
    last[0] = now
    root.after(1, turn)

def watch():
    if model.card and "model ready" not in found:
        found["model ready"] = time.time() - began
        stage[0] = "batch"
    tree = window.list.tree
    items = tree.get_children()
    if items and str(tree.set(items[0], "answer")) not in ("", "…") and "first answer" not in found:
        found["first answer"] = time.time() - began
    if model.explanation and "first overlay" not in found:
        found["first overlay"] = time.time() - began
    if items and model.progress is None and "batch" not in found and "first overlay" in found:
        found["batch"] = time.time() - began - found["model ready"]
        if len(model.options.layers) > 1 and sys.argv[4] == "inner":
            stage[0], found["inner layer"] = "inner layer", -time.time()
            model.view.choose(replace(model.view.choice, layer=model.options.layers[-2]))
        else:
            root.after(10, window.close)
            return
    if stage[0] == "inner layer" and not model.view.busy:
        if model.message.trouble:
            sys.exit(model.message.text)
        found["inner layer"] += time.time()
        root.after(10, window.close)
        return
    root.after(5, watch)

model.open([sys.argv[2]])
model.start()
window.tick()
turn()
watch()
with quick_turns():
    root.mainloop()
model.close()
print(json.dumps({"times": found, "gaps": gaps, "files": len(model.rows)}))
"""


@contextlib.contextmanager
def screen() -> Iterator[dict[str, str]]:
    """Give the environment of a process with a screen."""
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        yield dict(os.environ)
        return
    if shutil.which("Xvfb") is None:
        raise SystemExit("no screen, and no Xvfb to make one: apt install xvfb")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        with os.fdopen(read) as pipe:
            name = f":{int(pipe.readline())}"
        try:
            yield {**os.environ, "DISPLAY": name}
        finally:
            server.terminate()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    inner = "inner" if importlib_has("keras") else ""
    results = []
    with tempfile.TemporaryDirectory() as folder, screen() as environment:
        for i in range(arguments.files):
            pixels = draw_phantom(CLASSES[i % len(CLASSES)], i, arguments.size).pixels
            Image.fromarray(pixels).save(Path(folder) / f"{i:05}.png")
        for _ in range(arguments.repeats):
            done = subprocess.run(
                [sys.executable, "-c", ONE, str(time.time()), folder, arguments.model, inner],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise SystemExit(done.stderr)
            results.append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{arguments.files} drawn heads of {arguments.size} px, {arguments.repeats} repeats")
    for name in results[0]["times"]:
        value = statistics.median(result["times"][name] for result in results)
        print(f"{name:<28}{value:8.2f} s")
    for name in results[0]["gaps"]:
        value = max(result["gaps"][name] for result in results)
        print(f"longest gap, {name:<15}{value * 1000:8.0f} ms")


def importlib_has(name: str) -> bool:
    """Say whether a package is installed."""
    import importlib.util  # noqa: PLC0415

    return importlib.util.find_spec(name) is not None


if __name__ == "__main__":
    main()
