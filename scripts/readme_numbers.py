"""Print every number of README.md and docs/results.md as it was measured.

    python scripts/readme_numbers.py            # rows and sentences, ready to paste
    python scripts/readme_numbers.py --write    # put the numbers into the pages

Each row and sentence is a template here; its numbers come from docs/measured and from the cards
of the models. `tests/test_results.py` compares the pages with them. The words may be changed
in a page and here together; line breaks do not count.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tumorlens.models.store import DEFAULT_MODEL

ROOT: Final = Path(__file__).parent.parent
README, RESULTS = "README.md", "docs/results.md"
NAMES: Final = {
    "glioma": "glioma",
    "meningioma": "meningioma",
    "notumor": "no tumour",
    "pituitary": "pituitary tumour",
}
TUMOURS: Final = ("glioma", "meningioma", "pituitary")
_FIELD: Final = re.compile(r"\{(\w+)\}")
_NUMBER, _MODEL = r"(\d(?:[\d.,]*\d)?)", r"([\w.-]+@[\w.-]+)"


@dataclass(frozen=True, slots=True)
class Said:
    """A row or a sentence of a page: its words, and its numbers as they are printed."""

    page: str
    words: str
    values: dict[str, str]

    def text(self) -> str:
        """Give the words with their numbers."""
        return self.words.format(**self.values)

    def search(self, content: str) -> re.Match[str] | None:
        """Find the words in a page, whatever the numbers are and wherever lines break."""
        parts = _FIELD.split(self.words)
        for i, part in enumerate(parts):
            field = _MODEL if part == "model" else _NUMBER
            words = [re.escape(word) for word in re.split(r"\s+", part)]
            parts[i] = field if i % 2 else r"\s+".join(words)
        return re.search("".join(parts), content)

    def wrong(self, content: str) -> str | None:
        """Say what a page should have and has not; ``None`` when all is right."""
        found = self.search(content)
        if found is None:
            return f"{self.page} lacks: {self.text()}"
        there = dict(zip(_FIELD.findall(self.words), found.groups(), strict=True))
        differ = [f"{k} {there[k]}, measured {v}" for k, v in self.values.items() if there[k] != v]
        return f"{self.page}: {'; '.join(differ)}; should be: {self.text()}" if differ else None

    def put(self, content: str) -> str:
        """Write the numbers into a page, and leave its line breaks."""
        found = self.search(content)
        if found is None:
            raise SystemExit(f"{self.page} lacks: {self.text()}")
        for i, name in reversed(list(enumerate(_FIELD.findall(self.words), 1))):
            content = content[: found.start(i)] + self.values[name] + content[found.end(i) :]
        return content


@cache
def measured(name: str) -> Any:
    """Read a file of docs/measured."""
    return json.loads((ROOT / "docs" / "measured" / f"{name}.json").read_text(encoding="utf-8"))


@cache
def card(name: str) -> Any:
    """Read a model's card from the tree."""
    places = (
        ROOT / "src" / "tumorlens" / "models" / "bundled" / name,
        ROOT / "models" / "src" / "tumorlens_models" / name,
    )
    (path,) = (place / "model.json" for place in places if place.is_dir())
    return json.loads(path.read_text(encoding="utf-8"))


def everything() -> list[Said]:
    """List all rows and sentences that hold a measured number."""
    readme = [*_sentences(), *_right()]
    return [*readme, *_default(), *_maps(), *_strangers(), *_compared(), *_others()]


def _say(page: str, words: str, **values: str) -> Said:
    return Said(page, words, values)


def _sentences() -> list[Said]:
    fold0, proxy = measured("fold-0"), measured("fold-1-proxy")
    pasted, hidden = proxy["pasted"], measured("fold-0-localisation")["hidden"]
    low, high = fold0["intervals"]["accuracy"]
    return [
        _say(
            README,
            "on {n} slices of {groups} patients (or families of copies) it had never seen, "
            "{accuracy} % of its answers are right (95 % interval: {low} to {high} %), and it "
            'calls {missed} % of the tumours "no tumour".',
            n=_count(fold0["n"]),
            groups=_count(fold0["data"]["groups"]),
            accuracy=_percent(fold0["accuracy"]),
            low=_percent(low),
            high=_percent(high),
            missed=_percent(fold0["tumour_miss_rate"], 1),
        ),
        _say(
            README,
            "Of gliomas pasted into the heads of strangers it finds {seen} % but names only "
            "{named} %, and it sees a tumour in {alarms} % of heads without one.",
            seen=_percent(pasted["seen"]["glioma"]["all"]["share"]),
            named=_percent(pasted["named"]["glioma"]["all"]["share"]),
            alarms=_percent(1 - proxy["none"]["finding"]["all"]["share"]),
        ),
        _say(README, "on one slice in {one}", one=str(round(1 / (1 - fold0["accuracy"])))),
        _say(README, "off by {ece} points", ece=_percent(fold0["ece"])),
        _say(
            README,
            "with the tumour painted over, {glioma} % of its right answers for glioma stay as they "
            "were, {meningioma} % for meningioma and {pituitary} % for pituitary tumours",
            **{name: _percent(hidden[name]["tumour"]["stayed"]) for name in TUMOURS},
        ),
    ]


def _right() -> list[Said]:
    """Give the README's one table: the share of right answers, of all and of each class."""
    fold0 = measured("fold-0")
    found = fold0["intervals"]
    rows = [("all", fold0["n"], fold0["accuracy"], found["accuracy"])]
    for name, words in NAMES.items():
        scores = fold0["per_class"][name]
        rows.append((words, scores["support"], scores["recall"], found["recall"][name]))
    return [
        _say(
            README,
            f"| {words} | {{n}} | {{right}} | {{low}} to {{high}} |",
            n=_count(n),
            right=_share(right),
            low=_share(low),
            high=_share(high),
        )
        for words, n, right, (low, high) in rows
    ]


def _default() -> list[Said]:
    """Give the long table of the default model: what its answers are worth."""
    fold0 = measured("fold-0")
    sets = fold0["prediction_sets"]
    return [
        _ranged("| accuracy | {value} ({low} to {high}) | 0.965 |", fold0, "accuracy"),
        _say(RESULTS, "| Matthews's correlation (MCC) | {mcc} | |", mcc=_share(fold0["mcc"])),
        _ranged(
            "| tumours called no tumour | {value} ({low} to {high}) | |", fold0, "tumour_miss_rate"
        ),
        _say(RESULTS, "| calibration error (ECE) | {ece} | 0.02 |", ece=_share(fold0["ece"])),
        _say(
            RESULTS,
            "| prediction sets at 95 %: the truth is among them | {share} | 0.95 |",
            share=_share(sets["coverage"]),
        ),
        _say(
            RESULTS,
            "| prediction sets at 95 %: classes in the mean | {size} | 1.15 |",
            size=_share(sets["mean_size"]),
        ),
        _say(
            RESULTS,
            "| slices called assessable | {share} | 0.97 |",
            share=_share(fold0["accepted"]["share"]),
        ),
    ]


def _maps() -> list[Said]:
    """Go on with it: what its maps are worth."""
    where = measured("fold-0-localisation")
    methods, hidden = where["methods"], where["hidden"]["all"]
    return [
        _ranged(
            "| peak of the evidence in the tumour's outline ({n} outlined slices) | "
            "{value} ({low} to {high}) | 0.80 |",
            methods["gradcam"]["all"],
            "pointing",
            n=_count(where["n"]),
        ),
        _say(
            RESULTS,
            "| the same by chance; by one fixed spot, the centre of the head | {chance}; {centre} "
            "| |",
            chance=_share(methods["chance"]["all"]["pointing"]),
            centre=_share(methods["centre of the head"]["all"]["pointing"]),
        ),
        _say(
            RESULTS,
            "| right answers that stay with the tumour painted over | {stay} | 0.30 |",
            stay=_share(hidden["tumour"]["stayed"]),
        ),
        _say(
            RESULTS,
            "| right answers that stay with a patch elsewhere | {stay} | 0.90 |",
            stay=_share(hidden["control"]["stayed"]),
        ),
    ]


def _strangers() -> list[Said]:
    """Go on with it: what strangers' slices would show."""
    proxy = measured("fold-1-proxy")
    pasted, none, looks = proxy["pasted"], proxy["none"], dict(proxy["looks"])
    plain = looks.pop("as it is")
    scores = [look["accuracy"] for look in looks.values()]
    return [
        *(
            _say(
                RESULTS,
                f"| tumours pasted into other heads, {words}: glioma, meningioma, pituitary | "
                "{glioma}, {meningioma}, {pituitary} | |",
                **{name: _share(pasted[kind][name]["all"]["share"]) for name in TUMOURS},
            )
            for kind, words in (("seen", "found as some tumour"), ("named", "named rightly"))
        ),
        _say(
            RESULTS,
            "| heads without a tumour called so, families alike: all; T1 | {all}; {t1} | |",
            all=_share(none["finding"]["all"]["share"]),
            t1=_share(none["sequence"]["T1"]["share"]),
        ),
        _say(
            RESULTS,
            "| accuracy on {n} slices as they are; under {looks} other looks | "
            "{plain}; {low} to {high} | |",
            n=_count(plain["n"]),
            looks=str(len(looks)),
            plain=_share(plain["accuracy"]),
            low=_share(min(scores)),
            high=_share(max(scores)),
        ),
    ]


def _compared() -> list[Said]:
    """Give the table of models: accuracy and MCC, each as its card or file says."""
    others = measured("others")
    default = measured("fold-0")
    default = default | {"interval": default["intervals"]["accuracy"]}
    before = others["mobilenetv2-evidence"]
    return [
        _model(f"`{DEFAULT_MODEL}`, the default | never seen", default),
        _model(
            "`mobilenetv2-evidence`, the default before: three networks joined | seen in part",
            before,
        ),
        _model(
            "the recipe of the reference project, without fold 0 | seen in part",
            others["xception-unseen"],
        ),
        _model(
            "`xception-reference`: the same recipe | **seen**",
            card("xception-reference")["metrics"],
        ),
        _model("`mobilenetv2-official` | **seen**", card("mobilenetv2-official")["metrics"]),
        _model(
            "the default's network, trained and measured as the reference project does | **seen**",
            others["official-split"],
        ),
        _model("the reference project, as it reports | **seen**", others["reference-project"]),
    ]


def _model(words: str, scores: dict[str, Any]) -> Said:
    """Make a row of a model's accuracy, with its interval where one is known, and its MCC."""
    mcc = scores["mcc"] if "mcc" in scores else _mcc(scores["confusion_matrix"])
    values = {"n": _count(scores["n"])}
    values |= {"accuracy": f"{scores['accuracy']:.4f}", "mcc": f"{mcc:.4f}"}
    interval = ""
    if "interval" in scores:
        values |= dict(zip(("low", "high"), map(_share, scores["interval"]), strict=True))
        interval = " ({low} to {high})"
    return _say(RESULTS, f"| {words} | {{n}} | {{accuracy}}{interval} | {{mcc}} |", **values)


def _others() -> list[Said]:
    """Give what other commands printed."""
    found = measured("others")
    shortcuts, int8 = found["shortcuts"], found["int8"]
    novelty, cold = found["novelty"], found["cold-start"]
    return [
        _say(
            RESULTS,
            "| a forest that sees only the file's size, mode, bytes, mean and borders: four "
            "classes; tumour or none | {classes}; {tumour} |",
            classes=_share(shortcuts["accuracy"]),
            tumour=_share(shortcuts["tumour"]),
        ),
        _say(
            RESULTS,
            "| `{model}` on fold 1: int8; float | {int8}; {float} |",
            model=int8["model"],
            int8=_share(int8["int8"]),
            float=_share(int8["float"]),
        ),
        _say(
            RESULTS,
            "| `{model}`: valid slices accepted | {accepted} of {valid} |",
            model=novelty["model"],
            accepted=_share(novelty["accepted"]),
            valid=_count(novelty["valid"]),
        ),
        _say(
            RESULTS,
            "| `{model}`: text, charts, noise, photographs, drawings and other organs refused; "
            "slices cut in 9 and mixed | {refused}; {mixed} |",
            model=novelty["model"],
            refused=_share(novelty["refused"]),
            mixed=_share(novelty["mixed"]),
        ),
        _say(
            RESULTS,
            "| `{model}`: one picture, cold start, 2 cores | {seconds} s, {megabytes} MB |",
            model=cold["model"],
            seconds=f"{cold['seconds']:.2f}",
            megabytes=str(cold["megabytes"]),
        ),
        _say(
            RESULTS,
            "| the same network loaded and run in Keras | {seconds} s, {megabytes} MB |",
            seconds=f"{cold['keras_seconds']:.2f}",
            megabytes=str(cold["keras_megabytes"]),
        ),
    ]


def _ranged(words: str, scores: dict[str, Any], name: str, **more: str) -> Said:
    """Make a row of a score with its interval."""
    low, high = map(_share, scores["intervals"][name])
    return _say(RESULTS, words, value=_share(scores[name]), low=low, high=high, **more)


def _mcc(matrix: list[list[int]]) -> float:
    """Matthews's correlation of several classes from the confusion matrix."""
    size = range(len(matrix))
    true, said = [sum(row) for row in matrix], [sum(row[i] for row in matrix) for i in size]
    n, right = sum(true), sum(matrix[i][i] for i in size)
    spread = (n**2 - sum(x**2 for x in said)) * (n**2 - sum(x**2 for x in true))
    return float((right * n - sum(t * s for t, s in zip(true, said, strict=True))) / spread**0.5)


def _count(number: int) -> str:
    return f"{number:,}"


def _share(value: float) -> str:
    return f"{value:.3f}"


def _percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f}"


def main() -> None:
    """Print all, or write the numbers into the pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the numbers into the pages")
    if not parser.parse_args().write:
        page = ""
        for said in everything():
            if said.page != page:
                page = said.page
                print(f"\n{page}\n")
            print(said.text())
        return
    for page in (README, RESULTS):
        path = ROOT / page
        content = path.read_text(encoding="utf-8")
        for said in everything():
            content = said.put(content) if said.page == page else content
        path.write_text(content, encoding="utf-8")
        print(f"written: {page}")


if __name__ == "__main__":
    main()
