r"""Measure what a model would do on strangers, without any: the table that tries are chosen by.

    python scripts/proxy.py BUNDLE --data manifest.csv --root DATA --masks MASKS \
        --table TABLE.csv --mask-column slice --out proxy.json

On fold 1, which trains nothing here and is not the fold that is opened last:

- tumours pasted into heads without one, by kind, sequence and plane, and what the model
  says of the same heads unpasted; each family of copies counts once;
- the same slices under eight looks: no skull, three contrast curves, a bias field, half the
  resolution, noise, upside down;
- the tumour covered with healthy tissue: how often a right answer stays, and how often it
  stays with the peak of its evidence elsewhere, which is the mark of a shortcut;
- what is called none, by sequence and by finding; calibration, sets and acceptance.

Choose by the worst column, not by the mean.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from campaign import add_data_options, outlines_of
from numpy.typing import NDArray
from scipy import ndimage

from tumorlens.classifier import Classifier, load
from tumorlens.data.folder import CLASSES
from tumorlens.data.published import Facts
from tumorlens.data.split import select
from tumorlens.evaluate.looks import LOOKS
from tumorlens.evaluate.metrics import reliability
from tumorlens.images.prepare import Prepared
from tumorlens.images.slice import Slice
from tumorlens.networks.network import NO_TUMOUR
from tumorlens.prediction import Prediction
from tumorlens.train.paint import cover
from tumorlens.train.paste import paste
from tumorlens.train.pictures import Pictures, load_pictures

MEASURED = 1
BATCH = 16
FAR = 0.1  # of the side: evidence farther than this from the outline lies elsewhere
SELLA = CLASSES.index("pituitary")

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Pasted:
    """A tumour in a head that had none."""

    picture: Grey
    host: int
    kind: int


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    add_data_options(parser)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--fold", type=int, default=MEASURED)
    parser.add_argument("--every", type=int, default=1, help="of the slices, under the looks")
    parser.add_argument("--threads", type=int, help="processor threads; all cores if not given")
    given = parser.parse_args()
    classifier = load(given.bundle, threads=given.threads)
    found = measure(classifier, fold_pictures(given, classifier), given)
    print(report(found))


def fold_pictures(given: argparse.Namespace, classifier: Classifier) -> Pictures:
    """Prepare the fold as the model wants it."""
    chosen = select(given.data, test_folds=(given.fold,)).testing
    outlines = {o.path.resolve(): o for o in outlines_of(given, given.data)}
    asked = classifier.card.input
    return load_pictures(chosen, asked.size, outlines=outlines, preparation=asked.preparation)


def measure(classifier: Classifier, pictures: Pictures, given: Any) -> dict[str, Any]:
    """Run every part, and keep each as soon as it is there."""
    plain = answers(classifier, pictures.pixels)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "plain": lambda: describe(plain, pictures.labels),
        "none": lambda: called_none(plain, pictures),
        "pasted": lambda: pasted(classifier, pictures, plain),
        "covered": lambda: covered(classifier, pictures, plain),
        "looks": lambda: looks(classifier, pictures, given.every),
    }
    found: dict[str, Any] = {"model": classifier.card.id, "fold": given.fold}
    for name, run in parts.items():
        found[name] = run()
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return found


def answers(classifier: Classifier, pixels: Sequence[Grey] | Grey) -> list[Prediction]:
    """Ask the model about prepared pictures."""
    return [answer for answer, _ in asked_with_features(classifier, pixels)]


def asked_with_features(
    classifier: Classifier, pixels: Sequence[Grey] | Grey
) -> Iterator[tuple[Prediction, NDArray[np.float32]]]:
    """Ask the model, and keep what its evidence is computed from."""
    size = classifier.card.input.size
    for start in range(0, len(pixels), BATCH):
        batch = [np.asarray(grey) for grey in pixels[start : start + BATCH]]
        slices = [Slice(grey, (0, 255)) for grey in batch]
        box = (0.0, 0.0, float(size), float(size))
        prepared = [Prepared(grey.astype(np.float32) / np.float32(255), box, 1.0) for grey in batch]
        yield from zip(*classifier.features(slices, prepared), strict=True)


def describe(found: Sequence[Prediction], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Count answers against the truth."""
    said = np.array([CLASSES.index(answer.label) for answer in found])
    right = said == labels
    rows = np.array([[answer.probabilities[name] for name in CLASSES] for answer in found])
    tumours = labels != NO_TUMOUR
    sole = np.array([len(answer.prediction_set) == 1 for answer in found])
    recall = {name: share(right[labels == c]) for c, name in enumerate(CLASSES)}
    return {
        "n": len(found),
        "accuracy": share(right),
        "recall": recall,
        "missed": share(said[tumours] == NO_TUMOUR),
        "ece": reliability(labels, rows).ece,
        "one_class": {name: share(sole[right & (labels == c)]) for c, name in enumerate(CLASSES)},
        "classes_in_set": float(np.mean([len(answer.prediction_set) for answer in found])),
        "accepted": share(np.array([answer.assessable for answer in found])),
    }


def called_none(found: Sequence[Prediction], pictures: Pictures) -> dict[str, Any]:
    """Say how often heads without a tumour of the three kinds are called none."""
    none = [i for i in range(len(pictures)) if pictures.labels[i] == NO_TUMOUR]
    right = {i: found[i].label == CLASSES[NO_TUMOUR] for i in none}
    return {
        field: by_family(pictures, right, lambda i, name=field: getattr(fact(pictures, i), name))
        for field in ("finding", "sequence", "plane")
    }


def by_family(
    pictures: Pictures, values: dict[int, bool], key: Callable[[int], str]
) -> dict[str, dict[str, float]]:
    """Average over families of copies, by something that is known of them."""
    of: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for i, value in values.items():
        group = pictures.groups[i] if pictures.groups else str(i)
        for name in (key(i), "all"):
            of[name][group].append(value)
    return {
        name: {
            "share": float(np.mean([np.mean(v) for v in families.values()])),
            "families": len(families),
            "n": sum(map(len, families.values())),
        }
        for name, families in sorted(of.items())
    }


def paste_all(pictures: Pictures) -> list[Pasted]:
    """Paste one tumour of each kind into each head without one, where it belongs."""
    made = []
    outlined = pictures.outlined
    for host in np.flatnonzero(pictures.labels == NO_TUMOUR):
        seen = fact(pictures, host)
        for kind in (c for c in range(len(CLASSES)) if c != NO_TUMOUR):
            donors = [
                i
                for i in np.flatnonzero((pictures.labels == kind) & outlined)
                if fact(pictures, i).plane == seen.plane
            ]
            if not donors or (kind == SELLA and not seen.sella):
                continue
            random = np.random.default_rng((int(host), kind, 11))
            for _ in range(4):  # some tumours find no room, or would not be seen
                donor = int(random.choice(donors))
                stray = 0.02 if kind == SELLA else 0.06
                found = paste(
                    pictures.pixels[host], pictures.pixels[donor], pictures.masks[donor], random,
                    stray=stray,
                )  # fmt: skip
                if found is not None:
                    made.append(Pasted(found[0], int(host), kind))
                    break
    return made


def pasted(
    classifier: Classifier, pictures: Pictures, plain: Sequence[Prediction]
) -> dict[str, Any]:
    """Measure recall of pasted tumours, and false alarms on the same heads."""
    made = paste_all(pictures)
    said = answers(classifier, [one.picture for one in made])
    found: dict[str, Any] = {"n": len(made)}
    for field in ("sequence", "plane"):
        for kind in (c for c in range(len(CLASSES)) if c != NO_TUMOUR):
            of = [k for k, one in enumerate(made) if one.kind == kind]
            named = {made[k].host: said[k].label == CLASSES[kind] for k in of}
            seen = {made[k].host: said[k].label != CLASSES[NO_TUMOUR] for k in of}
            key = lambda i, name=field: getattr(fact(pictures, i), name)  # noqa: E731
            found.setdefault("named", {}).setdefault(CLASSES[kind], {}).update(
                by_family(pictures, named, key)
            )
            found.setdefault("seen", {}).setdefault(CLASSES[kind], {}).update(
                by_family(pictures, seen, key)
            )
        hosts = {one.host for one in made}
        alarms = {i: plain[i].label != CLASSES[NO_TUMOUR] for i in hosts}
        key = lambda i, name=field: getattr(fact(pictures, i), name)  # noqa: E731
        found.setdefault("alarms", {}).update(by_family(pictures, alarms, key))
    return found


def looks(classifier: Classifier, pictures: Pictures, every: int) -> dict[str, Any]:
    """Measure the same slices under eight looks."""
    some = np.arange(0, len(pictures), every)
    found = {
        "as it is": describe(answers(classifier, pictures.pixels[some]), pictures.labels[some])
    }
    for name, look in LOOKS.items():
        shown = [look(pictures.pixels[i]) for i in some]
        found[name] = describe(answers(classifier, shown), pictures.labels[some])
    return found


def covered(
    classifier: Classifier, pictures: Pictures, plain: Sequence[Prediction]
) -> dict[str, Any]:
    """Cover each tumour that was rightly named with healthy tissue, and ask again."""
    rows = [
        i
        for i in np.flatnonzero(pictures.outlined)
        if CLASSES.index(plain[i].label) == pictures.labels[i]
    ]
    made = {}
    for i in rows:
        random = np.random.default_rng((int(i), 13))
        painted = cover(pictures.pixels[i], pictures.masks[i], random)
        if painted is not None:
            made[int(i)] = painted
    before = peaks(classifier, pictures, list(made), [pictures.pixels[i] for i in made])
    after = peaks(classifier, pictures, list(made), list(made.values()))
    table: dict[str, Any] = {}
    for name in ("all", *CLASSES):
        of = [i for i in made if name in ("all", CLASSES[pictures.labels[i]])]
        if of:
            table[name] = {
                "n": len(of),
                "peak_in_outline": share(np.array([before[i][1] == 0 for i in of])),
                "stays": share(np.array([after[i][0] for i in of])),
                "stays_elsewhere": share(np.array([after[i][0] and after[i][1] > FAR for i in of])),
            }
    return table


def peaks(
    classifier: Classifier, pictures: Pictures, rows: Sequence[int], pixels: Sequence[Grey]
) -> dict[int, tuple[bool, float]]:
    """Say whether the true class is named, and how far its peak lies from the outline."""
    kernel, bias = classifier.head.layers[-1]
    grid, size = classifier.card.features, classifier.card.input.size
    found = {}
    for i, (answer, features) in zip(rows, asked_with_features(classifier, pixels), strict=True):
        label = int(pictures.labels[i])
        evidence = features @ kernel[:, label] + bias[label]
        cell = np.unravel_index(int(evidence.argmax()), evidence.shape)
        row, column = (
            int(np.clip(round(grid.offset + grid.stride * place), 0, size - 1)) for place in cell
        )
        # A cell is as wide as cells are apart: it lies in what any of its pixels lies in.
        away = ndimage.distance_transform_edt(~pictures.masks[i])[row, column] - grid.stride / 2
        found[i] = (answer.label == CLASSES[label], max(0.0, float(away)) / size)
    return found


def fact(pictures: Pictures, i: int) -> Facts:
    """Say what was seen on a picture."""
    return pictures.facts[i] if pictures.facts else Facts()


def share(values: NDArray[np.bool_]) -> float | None:
    """Give the share of what is true; ``None`` of nothing."""
    return float(np.mean(values)) if len(values) else None


def report(found: dict[str, Any]) -> str:
    """Put the figures that decide into a few lines."""
    named, seen = found["pasted"]["named"], found["pasted"]["seen"]
    lines = [f"{found['model']}: {show(found['plain'])}"]
    for kind, rows in named.items():
        cells = (
            f"{name} {row['share']:.2f}/{seen[kind][name]['share']:.2f} ({row['families']})"
            for name, row in rows.items()
        )
        lines.append(f"pasted {kind}, named/seen: {', '.join(cells)}")
    alarms = found["pasted"]["alarms"]
    lines.append("alarms: " + ", ".join(f"{k} {v['share']:.2f}" for k, v in alarms.items()))
    for field, rows in found["none"].items():
        cells = (f"{name} {row['share']:.2f}" for name, row in rows.items())
        lines.append(f"called none by {field}: {', '.join(cells)}")
    lines += [f"{name}: {show(row)}" for name, row in found["looks"].items()]
    lines += [
        f"covered {name}: stays {row['stays']:.3f}, elsewhere {row['stays_elsewhere']:.3f}, "
        f"peak in outline {row['peak_in_outline']:.3f} of {row['n']}"
        for name, row in found["covered"].items()
    ]
    return "\n".join(lines)


def show(row: dict[str, Any]) -> str:
    """Put one measurement into a line."""
    recall = " ".join(f"{name[:4]} {value:.3f}" for name, value in row["recall"].items())
    return (
        f"accuracy {row['accuracy']:.3f} ({recall}), missed {row['missed']:.3f}, "
        f"ECE {row['ece']:.3f}, accepted {row['accepted']:.3f}"
    )


if __name__ == "__main__":
    main()
