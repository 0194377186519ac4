"""Measuring explanations: on networks whose maps are known, and from end to end."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from float_bundles import look_at_brightness, write_float_bundle
from tumorlens.apps.cli.main import cli
from tumorlens.classifier import Classifier, load
from tumorlens.data.outlines import MaskedPicture, find_masked
from tumorlens.data.phantom import draw_phantom
from tumorlens.errors import DataError, OutputError
from tumorlens.evaluate.localise import CENTRE, CHANCE, Hidden, Localisation, localise
from tumorlens.evaluate.localise_summary import summarise
from tumorlens.evaluate.sanity import check_sanity, choose_pictures
from tumorlens.networks.network import build_network
from tumorlens.report.localisation import choose_cases, draw_outline, write_localisation

LABELS = ("glioma", "meningioma", "pituitary")


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen drawn heads with their lesions; every second one mirrored."""
    root = tmp_path_factory.mktemp("outlined")
    rows = []
    (root / "masks").mkdir()
    for label in LABELS:
        (root / label).mkdir()
        for i in range(6):
            phantom = draw_phantom(label, 100_000 + i)
            turn = np.s_[:, ::-1] if i % 2 else np.s_[:, :]
            name = f"{label}/{label}_{i}.png"
            Image.fromarray(phantom.pixels[turn]).save(root / name)
            Image.fromarray(phantom.lesion).save(root / "masks" / f"{label}{i}.png")
            rows.append([name, f"{label}{i}", str(i % 2), f"P{i // 2}"])
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "mask", "mirrored", "group"], *rows])
    return root


@pytest.fixture(scope="module")
def pictures(outlined: Path) -> list[MaskedPicture]:
    return find_masked(outlined, outlined / "masks", outlined / "table.csv")


@pytest.fixture(scope="module")
def found(classifier: Classifier, pictures: list[MaskedPicture]) -> Localisation:
    return localise(classifier, pictures, ["gradcam", "layercam"])


def test_a_network_that_looks_at_the_tumour_is_told_from_one_that_does_not(
    tmp_path: Path, pictures: list[MaskedPicture]
) -> None:
    """The map of brightness, on dark heads with one bright tumour, mirrored or not."""
    model = build_network("tiny")
    look_at_brightness(model)
    # The other preparation would take the bright tumour of so dark a head for the head itself.
    bundle = write_float_bundle(model, "tiny", tmp_path / "bright", "head-crop/1")
    bright = []
    for i, picture in enumerate(pictures[:4]):
        phantom = draw_phantom("glioma", 100_000 + i)
        # Of two greys: one alone, with so sharp an edge, is a plate of text and left out.
        light = 205 + 50 * (np.indices(phantom.pixels.shape).sum(axis=0) % 2)
        pixels = np.where(phantom.lesion, light, phantom.pixels // 4).astype(np.uint8)
        path = tmp_path / f"{i}.png"
        Image.fromarray(pixels[:, ::-1] if i % 2 else pixels).save(path)
        bright.append(MaskedPicture(str(i), path, picture.mask, i % 2 == 1, "glioma", f"P{i}"))
    classifier = load(bundle, threads=1)
    found = localise(classifier, bright, ["gradcam"], layer="relu_2", hiding=True)
    summary = summarise(found)["methods"]
    assert summary["gradcam"]["all"]["pointing"] == 1
    assert summary["gradcam"]["all"]["mass"] > 0.5 > summary[CENTRE]["all"]["mass"]
    assert summary["gradcam"]["all"]["iou_best"] > 0.6
    assert summary["gradcam"]["all"]["deletion"] < summary[CHANCE]["all"]["deletion"]
    for case in found.cases:  # its answer rests on the tumour and on nothing else
        assert case.tumour_hidden is not None
        assert case.tumour_hidden.probability < case.probability - 0.01
    controls = [case for case in found.cases if case.control_hidden is not None]
    assert len(controls) >= 2  # two of these heads are so dark that none is found around the tumour
    for case in controls:
        assert case.control_hidden.probability == pytest.approx(case.probability, abs=0.003)
    unflipped = [
        MaskedPicture(p.name, p.path, p.mask, False, p.label, p.group) for p in bright if p.mirrored
    ]
    wrong = localise(classifier, unflipped, ["gradcam"], layer="relu_2", curves=False, hiding=False)
    assert summarise(wrong)["methods"]["gradcam"]["all"]["pointing"] < 1


def test_chance_is_the_share_of_the_tumour(found: Localisation) -> None:
    for case in found.cases:
        chance = case.scores[CHANCE]
        assert chance.pointing == pytest.approx(case.size, rel=0.05)
        assert chance.mass == pytest.approx(case.size, rel=0.05)
        assert chance.iou[0] == pytest.approx(case.size, rel=0.05)


def test_the_summary_adds_up(found: Localisation) -> None:
    summary = summarise(found)
    json.dumps(summary)
    assert summary["n"] == 18
    assert summary["groups"] == 3
    assert set(summary["methods"]) == {"gradcam", "layercam", CHANCE, CENTRE}
    for parts in summary["methods"].values():
        for kind in (LABELS, [f"size quartile {i}" for i in range(1, 5)]):
            assert sum(parts[name]["n"] for name in kind) == 18
            total = sum(parts[name]["n"] * parts[name]["mass"] for name in kind)
            assert total / 18 == pytest.approx(parts["all"]["mass"])
        low, high = parts["all"]["intervals"]["mass"]
        assert low <= parts["all"]["mass"] <= high
        assert parts["all"]["iou_best"] >= parts["all"]["iou_fixed"]
    sizes = [summary["tumour_share"][f"size quartile {i}"] for i in range(1, 5)]
    assert sizes == sorted(sizes)
    hidden = summary["hidden"]["all"]
    assert hidden["right"] == round(18 * summary["right"])
    assert 0 <= hidden["tumour"]["stayed"] <= 1
    assert hidden["control"]["stayed"] > hidden["tumour"]["stayed"]
    assert 0 <= hidden["tumour"]["elsewhere"] <= hidden["tumour"]["stayed"]


def test_evidence_is_elsewhere_when_the_class_stays_and_its_peak_is_far(
    found: Localisation,
) -> None:
    def summed(label: str | None, away: float | None) -> float:
        cases = tuple(
            replace(c, answer=c.label, tumour_hidden=Hidden(label or c.label, 0.5, away))
            for c in found.cases
        )
        share = summarise(replace(found, cases=cases))["hidden"]["all"]["tumour"]["elsewhere"]
        return float(share)

    assert summed(None, 0.11) == summed(None, np.inf) == 1  # flat: nothing near speaks for it
    assert summed(None, 0.09) == 0
    assert summed("notumor", 0.5) == 0


def test_what_cannot_be_measured_is_told_and_the_rest_goes_on(
    classifier: Classifier, pictures: list[MaskedPicture], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_text("no")
    broken = MaskedPicture("broken", tmp_path / "broken.png", pictures[0].mask, False, "glioma")
    some = localise(classifier, [broken, pictures[0]], ["gradcam"], curves=False, hiding=False)
    assert list(some.skipped) == ["broken"]
    assert len(some.cases) == 1
    assert some.cases[0].scores["gradcam"].deletion == ()
    assert "tumour" not in summarise(some)["hidden"]["all"]
    with pytest.raises(DataError, match="no picture could be measured: "):
        localise(classifier, [broken], ["gradcam"])
    with pytest.raises(ValueError, match="no method 'magic'"):
        localise(classifier, pictures, ["magic"])


def test_a_mask_of_everything_leaves_nothing_to_paint_with(
    classifier: Classifier, pictures: list[MaskedPicture], tmp_path: Path
) -> None:
    Image.fromarray(np.ones((64, 64), bool)).save(tmp_path / "all.png")
    case = MaskedPicture("all", pictures[0].path, tmp_path / "all.png", False, "glioma")
    found = localise(classifier, [case], ["gradcam"], curves=False)
    assert found.cases[0].tumour_hidden is None
    assert found.cases[0].scores["gradcam"].mass == 1
    stranger = MaskedPicture("stranger", case.path, case.mask, False, "lymphoma")
    with pytest.raises(DataError, match="tiny-float@1 knows no class lymphoma"):
        localise(classifier, [stranger], ["gradcam"])


def test_best_median_and_worst_are_shown(found: Localisation) -> None:
    chosen = choose_cases(found)
    assert {name: len(cases) for name, cases in chosen.items()} == {
        "Best": 4,
        "Median": 4,
        "Worst": 4,
    }
    masses = [case.scores["gradcam"].mass for cases in chosen.values() for case in cases]
    assert masses == sorted(masses, reverse=True)


def test_the_outline_is_the_edge_of_the_mask() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:80] = True
    drawn = np.asarray(draw_outline(Image.new("RGB", (100, 100)), mask, 200))
    blue = (drawn == (86, 180, 233)).all(axis=-1)
    rows, columns = np.nonzero(blue)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (40, 119, 60, 159)
    assert not blue[42:118, 62:158].any()


def test_maps_fall_apart_as_the_network_is_randomised(
    classifier: Classifier, pictures: list[MaskedPicture]
) -> None:
    before = classifier.explain(pictures[0].path, layer="relu_2").map
    chosen = choose_pictures(classifier, pictures, 5)
    assert [label for _, label in chosen] == [pictures[i * 18 // 5].label for i in range(5)]
    sanity = check_sanity(classifier, chosen, ["gradcam", "scorecam"], seed=1)
    assert sanity.steps == ("trained", "logits", "relu_4", "relu_3", "relu_2", "relu_1")
    assert list(sanity.similarity) == ["gradcam"]  # the other has no formula of gradients
    values = sanity.similarity["gradcam"]
    assert values.shape == (5, 6)
    np.testing.assert_allclose(values[:, 0], 1)
    assert values[:, -1].mean() < 0.5
    assert sanity.maps["gradcam"].shape == (3, 6, 64, 64)
    # Another network was randomised, not the one that explains.
    np.testing.assert_array_equal(classifier.explain(pictures[0].path, layer="relu_2").map, before)


def test_the_folder_holds_numbers_figures_and_a_page_of_its_own(
    classifier: Classifier, found: Localisation, pictures: list[MaskedPicture], tmp_path: Path
) -> None:
    sanity = check_sanity(classifier, choose_pictures(classifier, pictures, 2), ["gradcam"])
    page = write_localisation(classifier, found, tmp_path / "out", sanity=sanity)
    assert page == tmp_path / "out" / "index.html"
    figures = {"localisation", "by-size", "curves", "hidden", "sanity", "sanity-maps"}
    assert {p.stem for p in page.parent.glob("*.png")} == figures
    text = page.read_text()
    shown = 12 * 4  # slice, two methods, painted over
    assert text.count("<figure>") == shown + len(figures)
    assert "http" not in text.replace("http-equiv", "")
    for name in figures:
        assert f'alt="{name}"' in text
    assert "Worst" in text
    assert "These pictures may have been in training." in text  # the bundle's card says so
    with (page.parent / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [p.name for p in pictures]
    assert float(rows[0]["gradcam mass"]) == pytest.approx(
        found.cases[0].scores["gradcam"].mass, abs=1e-5
    )
    summary = json.loads((page.parent / "localisation.json").read_text())
    assert summary["sanity"]["pictures"] == 2
    assert summary["model"] == "tiny-float@1"
    assert summary["training"] == {"leaky": True}


def test_the_command(
    outlined: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*more: Any) -> Any:
        arguments = ["localise", outlined, "--masks", outlined / "masks", "--model", tiny_bundle]
        arguments += ["--table", outlined / "table.csv", *more]
        return CliRunner().invoke(cli, [str(one) for one in arguments])

    out = tmp_path / "out"
    done = run("--out", out, "--limit", 4, "--no-curves", "--method", "gradcam", "--sanity", 1)
    assert done.exit_code == 0, done.output
    assert f"4 pictures measured: {out / 'index.html'}" in done.output
    assert json.loads((out / "localisation.json").read_text())["n"] == 4
    assert run("--out", out / "x", "--method", "magic").exit_code == 2
    missing = run("--out", out / "x", "--mask-column", "nothing")
    assert isinstance(missing.exception, DataError)
    assert not (out / "x").exists()
    measured: list[str] = []
    monkeypatch.setattr("tumorlens.evaluate.localise._measure", measured.append)
    assert isinstance(run("--out", out).exception, OutputError)  # before hours of work, not after
    assert not measured
