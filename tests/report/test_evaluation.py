"""The files of an evaluation agree with each other, and the page stands alone."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from tumorlens.data.phantom import draw_phantom
from tumorlens.evaluate.evaluation import Evaluation
from tumorlens.report.evaluation import write_evaluation

Make = Callable[..., Evaluation]


class _Page(HTMLParser):
    """What a browser would fetch, show and read out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def page_of(found: Evaluation, folder: Path) -> str:
    folder.mkdir()
    write_evaluation(found, folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_files_agree(evaluation: Make, tmp_path: Path) -> None:
    found = evaluation()
    out = tmp_path / "out"
    page_of(found, out)
    assert {path.name for path in out.iterdir()} == {
        "confusion_matrix.png",
        "metrics.json",
        "precision_recall.png",
        "predictions.csv",
        "recall.png",
        "reliability.png",
        "report.html",
        "roc.png",
        "sources.png",
        "worst_groups.png",
    }
    metrics = json.loads((out / "metrics.json").read_text())
    with (out / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert metrics["n"] == len(rows) == 24
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert metrics["accuracy"] == pytest.approx(right / 24)
    assert sum(row["assessable"] == "false" for row in rows) == 1
    assert metrics["not_assessable"] == {"n": 1, "share": 1 / 24}
    assert (metrics["accepted"]["n"], metrics["accepted"]["share"]) == (23, 23 / 24)
    assert metrics["prediction_sets"]["calibrated"] is False
    assert set(metrics["prediction_sets"]["intervals"]) == {
        "mean_size",
        "coverage",
        "one_class",
    }
    for row in rows:
        given = {key[2:]: float(row[key]) for key in row if key.startswith("p_")}
        assert max(given, key=lambda name: given[name]) == row["predicted"]
        assert sum(given.values()) == pytest.approx(1, abs=1e-5)
    table = metrics["confusion_matrix"]
    classes = metrics["classes"]
    for i, true in enumerate(classes):
        for j, answer in enumerate(classes):
            assert table[i][j] == sum((r["label"], r["predicted"]) == (true, answer) for r in rows)
    assert sum(part["n"] for part in metrics["by_source"].values()) == 24
    assert set(metrics["by_source"]) == {"one", "two & <three>"}
    assert len(metrics["by_group"]) == 8
    assert metrics["unreadable"] == [
        {"path": "bad <b>.png", "reason": "plain text; give a picture"}
    ]
    assert metrics["model"]["id"] == "mobilenetv2-official@1"
    assert metrics["data"]["leaky"] is None
    assert len(metrics["intervals"]["accuracy"]) == 2
    assert set(metrics["auc"]) == {"macro", *classes}
    assert metrics["bootstrap"] == {"level": 0.95, "resamples": 50, "units": 8}


def test_the_page_fetches_nothing_and_describes_every_picture(
    evaluation: Make, tmp_path: Path
) -> None:
    for i in range(24):
        Image.fromarray(draw_phantom("glioma", i, 96).pixels).save(tmp_path / f"p{i}.png")
    text = page_of(evaluation(), tmp_path / "out")
    page = _Page(text)
    assert not re.search(r"https?://|@import|url\(", text)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")
        assert "href" not in attributes
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) > 7  # the figures and some mistakes
    assert all(attributes.get("alt") for attributes in pictures)
    assert "Research use only" in text
    assert "cannot be read any more" not in text


def test_names_cannot_write_the_page(evaluation: Make, tmp_path: Path) -> None:
    text = page_of(evaluation(name="<script>alert({})</script>\udcff.png"), tmp_path / "out")
    assert "<script" not in text
    assert "&lt;script&gt;alert(" in text
    assert "my &lt;set&gt;" in text
    assert "two &amp; &lt;three&gt;" in text
    assert "bad &lt;b&gt;.png" in text


def test_pictures_that_went_away_are_a_sentence(evaluation: Make, tmp_path: Path) -> None:
    assert "cannot be read any more" in page_of(evaluation(), tmp_path / "out")


@pytest.mark.parametrize(
    ("leaky", "words"),
    [(True, "Leaky: these figures are too good"), (False, "Unseen patients"), (None, "Not known")],
)
def test_the_banner(leaky: bool | None, words: str, evaluation: Make, tmp_path: Path) -> None:
    text = page_of(evaluation(leaky=leaky), tmp_path / "out")
    assert words in text
    assert ('class="banner warn" role="note"' in text) is (leaky is True)


def test_without_groups_the_page_says_that_intervals_are_too_narrow(
    evaluation: Make, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    text = page_of(evaluation(groups=False), out)
    assert "The intervals are too narrow." in text
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["by_group"] is None
    assert metrics["undefined"]["by_group"] == "no groups are known"
    assert not (out / "worst_groups.png").exists()
    with_groups = page_of(evaluation(), tmp_path / "other")
    assert "The intervals are too narrow." not in with_groups
    assert "With only 8 groups they are rough" in with_groups


def test_missing_classes_and_no_mistakes(evaluation: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = page_of(evaluation(perfect=True, kinds=2, bootstrap=0), out)
    assert "<h2>Mistakes</h2><p>None.</p>" in text
    assert re.search(r"AUC of pituitary( tumour)?: no picture of pituitary", text)
    assert "Nothing was resampled" in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["macro_f1"] is None
    assert metrics["undefined"]["macro_f1"] == "no picture of notumor, pituitary"
    assert metrics["prediction_sets"]["per_class"]["notumor"]["coverage"] is None


def test_the_same_result_gives_the_same_bytes(evaluation: Make, tmp_path: Path) -> None:
    for name in ("a", "b"):
        page_of(evaluation(), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
