"""The numbers drawn are the numbers of the data; the same seed draws the same bytes."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from figure_texts import overlaps, texts
from kaggle_server import files_of
from tumorlens.data.folder import CLASSES
from tumorlens.data.manifest import make_manifest, write_manifest
from tumorlens.data.phantom import write_phantoms
from tumorlens.errors import DataError, MissingExtraError, OutputError
from tumorlens.report.data_set import gather, plot_data
from tumorlens.report.data_set_figures import (
    Picture,
    draw_bars,
    draw_folds,
    draw_pie,
    draw_samples,
    draw_sizes,
    pick_samples,
)
from tumorlens.report.style import (
    COLOURS,
    DPI,
    FAINT,
    INK,
    PAPER,
    class_colour,
    figure_style,
    readable_on,
    to_png,
)

COUNTS = {"glioma": (120, 30), "meningioma": (90, 0), "notumor": (1400, 310), "pituitary": (7, 2)}


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with figure_style():
        yield


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    """A set of known numbers; its files are not there."""
    return [
        Picture(Path(f"{label}-{part}-{i}"), label, 512, 256 + i % 3, part, i % 5, f"C{i // 4}")
        for label, counts in COUNTS.items()
        for part, count in zip(("Training", "Testing"), counts, strict=True)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_phantoms(tmp_path_factory.mktemp("data"), training=6, testing=2, size=96)
    wide = Image.new("L", (60, 30), 99)
    wide.save(root / "Training" / "glioma" / "wide.png")
    return root


def test_bars_are_as_long_as_the_classes_are_large(pictures: list[Picture]) -> None:
    figure = draw_bars(pictures)
    bars = [round(bar.get_width()) for bar in figure.axes[0].patches]
    assert bars == [count for label in CLASSES for count in COUNTS[label]]
    drawn = texts(figure)
    assert "1,710  (87.3 %)" in drawn
    assert "9  (0.5 %)" in drawn
    assert "1,400" in drawn
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "glioma",
        "meningioma",
        "no tumour",
        "pituitary",
    ]


def test_the_pie_has_the_shares(pictures: list[Picture]) -> None:
    figure = draw_pie(pictures)
    total = len(pictures)
    angles = [wedge.theta2 - wedge.theta1 for wedge in figure.axes[0].patches]
    assert angles == pytest.approx([360 * sum(COUNTS[c]) / total for c in CLASSES], abs=1e-3)
    assert f"{total:,}" in texts(figure)


def test_bubbles_lie_at_the_sizes_and_have_the_shares(pictures: list[Picture]) -> None:
    figure = draw_sizes(pictures)
    assert [axes.get_title(loc="left").strip() for axes in figure.axes] == [
        "glioma",
        "meningioma",
        "no tumour",
        "pituitary",
    ]
    dots = figure.axes[1].collections[0]
    assert dots.get_offsets().tolist() == [[512, 256], [512, 257], [512, 258]]
    assert dots.get_sizes() == pytest.approx([6 + 700 / 3] * 3)
    assert "33 % are 512 × 256; 3 sizes" in texts(figure)


def test_the_fold_table_counts_pictures_and_groups(pictures: list[Picture]) -> None:
    figure = draw_folds(pictures)
    image = figure.axes[0].images[0].get_array()
    assert image is not None
    assert np.asarray(image).shape == (4, 5)
    assert np.asarray(image).sum(axis=1) == pytest.approx(1)
    drawn = texts(figure)
    assert "30  (20.0 %)\n24 groups" in drawn  # glioma: 24 + 6 in each fold
    assert "1,710" in drawn
    assert f"{len(pictures):,}" in drawn
    assert "fold 0 (test)" in drawn


def test_no_folds_no_table(pictures: list[Picture]) -> None:
    with pytest.raises(ValueError, match="no picture has a fold"):
        draw_folds([Picture(p.path, p.label, p.width, p.height) for p in pictures])


@pytest.mark.parametrize("draw", [draw_bars, draw_pie, draw_sizes, draw_folds])
def test_texts_neither_overlap_nor_leave_the_paper(draw: object, pictures: list[Picture]) -> None:
    even = [p for p in pictures if p.label != "notumor" or p.part == "Testing"]
    even = [p for p in even if p.label != "pituitary"]
    assert overlaps(draw(even)) == []  # type: ignore[operator]


def test_samples_are_drawn_by_seed(folder: Path) -> None:
    found = gather(folder).pictures
    first = pick_samples(found, 1)
    assert len(first) == 16
    assert [p.label for p in first] == [label for label in CLASSES for _ in range(4)]
    assert len({p.path for p in first}) == 16
    assert pick_samples(found[::-1], 1) == first
    assert pick_samples(found, 2) != first


def test_samples_show_the_picture_and_what_a_network_sees(folder: Path) -> None:
    wide = [p for p in gather(folder).pictures if p.path.name == "wide.png"]
    figure = draw_samples(wide)
    plain, prepared = (axes.images[0].get_array() for axes in figure.axes if axes.images)
    assert plain is not None
    assert prepared is not None
    assert plain.shape == (30, 60)
    assert prepared.shape == (224, 224)
    assert "60 × 30" in texts(figure)
    assert overlaps(figure) == []


def test_a_sample_that_went_away_is_a_word(pictures: list[Picture]) -> None:
    assert texts(draw_samples(pictures)).count("unreadable") == 16


def test_the_folder_of_figures(folder: Path, tmp_path: Path) -> None:
    steps: list[tuple[object, ...]] = []
    files = plot_data(folder, tmp_path / "out", progress=lambda *step: steps.append(step[:3]))
    assert [path.name for path in files] == [
        "samples.png",
        "bars.png",
        "pie.png",
        "sizes.png",
        "index.html",
    ]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    for path, inches in zip(
        files[:-1], ((11, 6.85), (8.4, 3.98), (7.2, 4.9), (10.2, 4.1)), strict=True
    ):
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert picture.size == tuple(int(side * DPI) for side in inches)
    page = files[-1].read_text()
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "33 pictures" in page
    assert '<th scope="row">glioma</th><td>2</td><td>7</td>' in page
    assert ("read pictures", 33, 33) in steps
    assert ("read examples", 16, 16) in steps
    assert ("drew figures", 4, 4) in steps


def test_the_same_seed_gives_the_same_bytes_whatever_the_settings(
    folder: Path, tmp_path: Path
) -> None:
    plot_data(folder, tmp_path / "a", seed=3)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 10}):
        plot_data(folder, tmp_path / "b", seed=3)
        assert mpl.rcParams["font.size"] == 30
    plot_data(folder, tmp_path / "c", seed=4)
    first, same, other = (files_of(tmp_path / name) for name in "abc")
    assert first == same
    assert first["samples.png"] != other["samples.png"]
    assert first["pie.png"] == other["pie.png"]


def test_a_manifest_brings_folds_and_its_own_labels(folder: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    whole = make_manifest(folder, groups="none")
    write_manifest(whole.with_folds([i % 5 for i in range(len(whole.entries))]), manifest)
    written = plot_data(manifest, tmp_path / "out")
    assert "folds.png" in {path.name for path in written}
    found = gather(manifest).pictures
    assert {p.fold for p in found} == {0, 1, 2, 3, 4}
    assert sum(p.label == "glioma" for p in found) == 9


def test_unreadable_files_are_named_not_skipped(tmp_path: Path) -> None:
    root = write_phantoms(tmp_path / "set", training=2, testing=1, size=64)
    (root / "Training" / "glioma" / "bad<b>.png").write_bytes(b"no picture")
    found = gather(root)
    assert len(found.pictures) == 12
    assert len(found.unreadable) == 1
    assert "bad<b>.png" in found.unreadable[0]
    page = plot_data(root, tmp_path / "out")[-1].read_text()
    assert "Left out: 1 that cannot be read" in page
    assert "bad&lt;b&gt;.png" in page
    assert "<b>" not in page


def test_wrong_sources(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a manifest"):
        plot_data(tmp_path / "nothing", tmp_path / "out")
    bad = tmp_path / "bad.csv"
    bad.write_text("path,label,fold\na.png,glioma,first\n")
    with pytest.raises(DataError, match=r"bad\.csv lacks the columns"):
        plot_data(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="is not empty"):
        plot_data(folder, folder)


def test_without_matplotlib(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"drawing a data set .*tumorlens\[data\]"):
        plot_data(folder, tmp_path / "out")


def test_matplotlib_is_imported_late() -> None:
    code = (
        "import sys, tumorlens.report.data_set, tumorlens.report.style\n"
        "import tumorlens.apps.cli.plot\n"
        "print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_texts_can_be_read() -> None:
    assert _contrast(INK, PAPER) > 7
    assert _contrast(FAINT, PAPER) > 4.5
    for colour in COLOURS:
        assert _contrast(readable_on(colour), colour) > 3.8


def test_classes_have_colours_of_their_own() -> None:
    colours = [class_colour(label) for label in CLASSES]
    assert len(set(colours)) == 4
    assert set(colours) <= set(COLOURS)
    assert class_colour("another") == FAINT


def test_the_same_figure_is_the_same_bytes(pictures: list[Picture]) -> None:
    png = to_png(draw_pie(pictures))
    assert png == to_png(draw_pie(pictures))
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (1080, 735)
