"""The command line: its contract, its exit statuses, and never a traceback."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import Classifier
from tumorlens.data.folder import CLASSES
from tumorlens.data.phantom import write_phantoms
from tumorlens.data.published import Published
from tumorlens.files import hash_file
from tumorlens.models.store import open_bundle

Run = Callable[..., tuple[int, str, str]]


def outside(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, in a process of its own."""
    command = [sys.executable, "-m", "tumorlens", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def records(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


# predict


def test_predict_prints_the_contract(
    tiny_bundle: Path, testing: dict[str, list[Path]], classifier: Classifier, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    given = [testing["pituitary"][1], broken, testing["glioma"][0], tmp_path / "missing.png"]
    done = outside("predict", *given, "--model", tiny_bundle, "--json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "2 of 4 files could not be read" in done.stderr
    answers = records(done.stdout)
    assert [answer["path"] for answer in answers] == list(map(str, given))
    for answer in (answers[0], answers[2]):
        assert list(answer) == [
            "path",
            "slice",
            "label",
            "confidence",
            "probabilities",
            "prediction_set",
            "assessable",
            "reason",
            "model",
        ]
        wanted = classifier.predict(str(answer["path"]))
        assert answer["label"] == wanted.label
        assert answer["confidence"] == pytest.approx(wanted.confidence, abs=1e-4)
        assert list(answer["probabilities"]) == list(CLASSES)  # type: ignore[call-overload]
        assert answer["slice"] == 0
        assert answer["assessable"] is True
        assert answer["reason"] is None
        assert answer["model"] == "tiny-float@1"
    for answer in (answers[1], answers[3]):
        assert set(answer) == {"path", "error"}
        assert set(answer["error"]) == {"type", "message"}  # type: ignore[call-overload]
        assert answer["error"]["type"] == "UnreadableImageError"  # type: ignore[index]
        assert str(answer["path"]) in answer["error"]["message"]  # type: ignore[index]


def test_folders_are_walked_in_order(
    run: Run, tiny_bundle: Path, phantom_data: Path, testing: dict[str, list[Path]]
) -> None:
    last = testing["glioma"][3]
    status, out, err = run(
        "predict", phantom_data / "Testing", last, "--model", tiny_bundle, "--json"
    )
    assert status == 0
    wanted = [str(path) for name in sorted(testing) for path in testing[name]] + [str(last)]
    assert [answer["path"] for answer in records(out)] == wanted
    assert "files 49/49" in err
    assert "classified" not in out


def test_people_get_a_line_a_slice(
    run: Run, tiny_bundle: Path, testing: dict[str, list[Path]], tmp_path: Path
) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (100, 100), 30).save(blank)
    paths = [testing["notumor"][0], blank, tmp_path / "missing.png"]
    status, out, err = run("predict", *paths, "--model", tiny_bundle)
    assert status == 1
    first, second, third = out.splitlines()
    assert first.startswith("no tumour ")
    assert str(paths[0]) in first
    assert second.startswith("not assessable")
    assert "the picture is blank" in second
    assert third.startswith("unreadable")
    assert "no such file" in third
    assert "1 of 3 files could not be read" in err


def test_one_good_picture_is_quiet(run: Run, tiny_bundle: Path, picture: Path) -> None:
    status, out, err = run("predict", picture, "--model", tiny_bundle)
    assert status == 0
    assert err == ""
    assert out.startswith("pituitary ")


def test_an_empty_folder_is_said(run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    status, out, err = run("predict", tmp_path, "--model", tiny_bundle, "--json")
    assert status == 1
    assert json.loads(out)["path"] == str(tmp_path)
    assert "a folder without files" in json.loads(out)["error"]["message"]
    assert "1 of 1 files could not be read" in err


@pytest.mark.parametrize("flags", [["--json"], []])
def test_names_may_be_anything(
    tiny_bundle: Path, picture: Path, tmp_path: Path, flags: list[str]
) -> None:
    """Bytes that are no text, line ends, escape codes, a leading dash, far too long."""
    names = [b"\xff\xfe.png", "Größe 脳.png".encode(), b"two\nlines.png", b"\x1b[31mred.png"]
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)  # noqa: PTH102
    for name in names:
        shutil.copy(os.fsencode(picture), os.path.join(folder, name))  # noqa: PTH118
    for encoding in ("utf-8", "ascii"):
        done = outside(
            "predict",
            tmp_path / "odd",
            "x" * 400,
            "--model",
            tiny_bundle,
            *flags,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert done.returncode == 1, done.stderr
        assert "Traceback" not in done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == 5
        assert "\x1b" not in done.stdout
        if flags:
            found = {os.fsencode(str(answer["path"])) for answer in records(done.stdout)[:4]}
            assert found == {os.path.join(folder, name) for name in names}  # noqa: PTH118


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "x.png", "--model", "\x1b]0;m\x07"],
        ["predict", "x.png", "--\x1b]0;m\x07"],
        ["explain", "x.png", "--out", "o", "--method", "\x1b]0;m\x07"],
        ["\x1b]0;m\x07"],
        ["train", "--data", "\x1b]0;m\x07", "--out", "o"],
        ["models", "\x1b]0;m" + "m" * 10**5],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_error_commands_the_terminal(run: Run, arguments: list[str]) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert "]0;m" in err
    assert "\x1b" not in err
    assert len(err) < 6000


def test_a_reader_that_has_enough_may_go(tiny_bundle: Path, phantom_data: Path) -> None:
    command = [sys.executable, "-m", "tumorlens", "predict", str(phantom_data), "--json"]
    command += ["--model", str(tiny_bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["slice"] == 0
        process.stdout.close()  # as head -1 does
        errors = process.stderr.read()
    assert b"Traceback" not in errors
    assert b"Exception ignored" not in errors
    assert process.returncode in (0, 1)


# explain


def test_explain_writes_a_record_for_each_slice(
    tiny_bundle: Path, testing: dict[str, list[Path]], tmp_path: Path
) -> None:
    good, broken = testing["meningioma"][0], tmp_path / "broken.png"
    broken.write_bytes(b"")
    out = tmp_path / "out"
    arguments = ["--out", out, "--method", "gradcam", "--layer", "relu_4", "--target", "glioma"]
    done = outside("explain", good, broken, *arguments, "--model", tiny_bundle)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (record,) = out.iterdir()
    assert record.name == f"{good.stem}-gradcam-relu_4-glioma"
    assert {p.name for p in record.iterdir()} == {"map.npy", "overlay.png", "manifest.json"}
    heat = np.load(record / "map.npy")
    assert (heat.dtype, heat.shape) == (np.float32, (128, 128))
    manifest = json.loads((record / "manifest.json").read_text())
    assert manifest["path"] == str(good)
    assert (manifest["method"], manifest["layer"]) == ("gradcam", "relu_4")
    assert (manifest["target"], manifest["model"]) == ("glioma", "tiny-float@1")
    assert str(record) in done.stdout
    assert "an empty file" in done.stdout


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--method", "magic", "gradcam"),
        ("--target", "flu", "glioma, meningioma, no tumour, pituitary"),
        ("--layer", "conv_1", "relu_4"),
        ("--layers", "relu_1,conv_1", "relu_4"),
        ("--versus", "flu", "glioma, meningioma, no tumour, pituitary"),
        ("--model", "nonsense", "there is no model 'nonsense'"),
    ],
)
def test_what_cannot_be_explained_is_wrong_usage(
    run: Run,
    tiny_bundle: Path,
    picture: Path,
    tmp_path: Path,
    option: str,
    value: str,
    message: str,
) -> None:
    status, out, err = run(
        "explain", picture, "--out", tmp_path / "o", "--model", tiny_bundle, option, value
    )
    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "o").exists()


def test_explain_takes_an_inner_layer_and_a_second_class(
    run: Run, tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    arguments = ["--method", "gradcam++", "--layer", "relu_2", "--versus", "glioma"]
    status, _, _ = run(
        "explain", picture, "--out", tmp_path / "o", "--model", tiny_bundle, *arguments
    )
    assert status == 0
    name = f"{picture.stem}-gradcam++-relu_2-versus-glioma"
    manifest = json.loads((tmp_path / "o" / name / "manifest.json").read_text())
    assert (manifest["method"], manifest["layer"]) == ("gradcam++", "relu_2")
    assert (manifest["target"], manifest["versus"]) == ("pituitary", "glioma")


def test_layers_are_listed_and_shown_on_one_sheet(
    run: Run, tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    status, out, _ = run("explain", "--list-layers", "--model", tiny_bundle)
    assert (status, out.split()) == (0, ["relu_1", "relu_2", "relu_3", "relu_4"])
    out_folder = tmp_path / "o"
    status, out, _ = run(
        "explain", picture, "--layers", "all", "--out", out_folder, "--model", tiny_bundle
    )
    assert status == 0
    name = f"{picture.stem}-gradcam-layers"
    assert str(out_folder / name) in out
    assert (out_folder / name / "layers.png").is_file()
    for more in (["--layer", "relu_4"], ["--method", "occlusion"]):
        status, _, err = run(
            "explain",
            picture,
            "--layers",
            "all",
            *more,
            "--out",
            out_folder,
            "--model",
            tiny_bundle,
        )
        assert status == 2
        assert "--layers goes neither" in err
    status, _, err = run(
        "explain",
        picture,
        "--layers",
        "relu_1, relu_4,relu_1",
        "--out",
        out_folder / "two",
        "--model",
        tiny_bundle,
    )
    assert status == 0
    manifest = json.loads((out_folder / "two" / name / "manifest.json").read_text())
    assert list(manifest["layers"]) == ["relu_1", "relu_4"]
    status, _, err = run(
        "explain",
        picture,
        "--layer",
        "relu_1",
        "--method",
        "occlusion",
        "--out",
        out_folder,
        "--model",
        tiny_bundle,
    )
    assert status == 2
    assert "leave --layer out" in err


def test_a_place_that_cannot_be_written_is_said(
    run: Run, tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    status, out, err = run("explain", picture, "--out", tmp_path / "file", "--model", tiny_bundle)
    assert (status, out) == (2, "")
    assert err.startswith("error: cannot write")
    table = tmp_path / "file" / "a.csv"
    status, out, err = run("predict", picture, "--csv", table, "--model", tiny_bundle)
    assert (status, out) == (2, "")
    assert err.startswith("error: cannot write")


def test_explaining_again_keeps_what_is_there(
    run: Run, tiny_bundle: Path, testing: dict[str, list[Path]], tmp_path: Path
) -> None:
    first, second = testing["glioma"][:2]
    scan, out = tmp_path / "scan.png", tmp_path / "out"
    shutil.copy(first, scan)
    ask = ("explain", scan, "--out", out, "--model", tiny_bundle)
    for more in ((), ("--method", "layercam"), ("--target", "Pituitary tumour"), ()):
        status, _, err = run(*ask, *more)
        assert status == 0
    assert "1 record was there already" in err
    names = {"scan-gradcam", "scan-layercam", "scan-gradcam-pituitary"}
    assert {p.name for p in out.iterdir()} == names
    shutil.copy(second, scan)  # another picture of that name is another slice
    status, _, err = run(*ask)
    assert (status, err) == (0, "")
    assert {p.name for p in out.iterdir()} == {*names, "scan-gradcam-2"}
    before = (out / "scan-gradcam-2" / "overlay.png").read_bytes()
    (out / "scan-gradcam-2" / "overlay.png").write_bytes(b"spoilt")
    shutil.rmtree(out / "scan-gradcam")
    status, _, err = run(*ask, "--overwrite")
    assert (status, err) == (0, "")
    assert (out / "scan-gradcam-2" / "overlay.png").read_bytes() == before
    assert len(list(out.iterdir())) == 3


def test_several_jobs_may_write_to_one_folder(
    tiny_bundle: Path, testing: dict[str, list[Path]], tmp_path: Path
) -> None:
    pictures = [str(path) for path in testing["glioma"][:3]]
    command = [sys.executable, "-m", "tumorlens", "explain", *pictures]
    command += ["--out", str(tmp_path / "out"), "--model", str(tiny_bundle)]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for job in jobs:
        _, err = job.communicate()
        assert job.returncode == 0, err
    for record in (tmp_path / "out").iterdir():
        assert {p.name for p in record.iterdir()} == {"map.npy", "overlay.png", "manifest.json"}
    assert {p.name for p in (tmp_path / "out").glob("*-gradcam")} == {
        f"{Path(path).stem}-gradcam" for path in pictures
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [("Glioma", "glioma"), ("no tumour", "notumor"), ("PITUITARY", "pituitary")],
)
def test_a_class_may_be_named_as_people_do(
    run: Run, tiny_bundle: Path, picture: Path, tmp_path: Path, said: str, meant: str
) -> None:
    arguments = ["--target", said, "--out", tmp_path / "o", "--model", tiny_bundle]
    assert run("explain", picture, *arguments)[0] == 0
    (record,) = (tmp_path / "o").iterdir()
    assert json.loads((record / "manifest.json").read_text())["target"] == meant


def test_own_records_and_reports_are_no_scans(
    run: Run, tiny_bundle: Path, testing: dict[str, list[Path]], tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for picture in testing["glioma"][:2]:
        shutil.copy(picture, scans)
    model = ("--model", tiny_bundle)
    assert run("explain", scans, "--out", scans / "why", *model)[0] == 0
    assert run("demo", "--out", scans / "demo", *model)[0] == 0
    assert run("predict", scans, "--csv", scans / "answers.csv", *model)[0] == 0
    shutil.copytree(tiny_bundle, scans / "model")
    lookalike = scans / "mine"  # somebody else's folder with a manifest in it
    lookalike.mkdir()
    (lookalike / "manifest.json").write_text('{"files": ["overlay.png"]}')
    shutil.copy(picture, lookalike / "overlay.png")
    status, out, err = run("predict", scans, *model, "--json")
    found = sorted(str(Path(str(a["path"])).relative_to(scans)) for a in records(out))
    own = sorted(["mine/manifest.json", "mine/overlay.png", *(p.name for p in scans.glob("*.png"))])
    assert (status, found) == (1, own)
    assert err.count("note: passed over what tumorlens wrote") == 1
    status, out, err = run("explain", scans, "--out", scans / "why", *model)
    assert len(list((scans / "why").iterdir())) == 3  # the lookalike's slice came to it
    status, out, err = run("predict", scans / "why", *model)
    assert status == 1
    assert "nothing but what tumorlens wrote" in out


def test_a_log_has_one_line_for_the_end(
    run: Run, tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    with Image.open(picture) as one:
        one.save(tmp_path / "stack.tif", save_all=True, append_images=[one.copy()] * 20)
    for command in (["predict"], ["explain", "--out", tmp_path / "o"]):
        arguments = [picture, tmp_path / "stack.tif", "--model", tiny_bundle]
        status, out, err = run(*command, *arguments)
        assert status == 0
        assert len(out.splitlines()) == 22
        assert err.count("files 2/2") == 1


def test_a_table_is_whole_and_holds_no_formula(
    run: Run,
    tiny_bundle: Path,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("=cmd.png", "a,b.png"):
        shutil.copy(picture, name)
    Path("-broken.png").write_text("no picture")
    given = ["=cmd.png", "a,b.png", "./-broken.png", "@missing"]
    status, out, _ = run("predict", "--csv", "t.csv", "--model", tiny_bundle, *given)
    assert status == 1
    assert len(out.splitlines()) == 4
    with Path("t.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["./=cmd.png", "a,b.png", "./-broken.png", "./@missing"]
    assert rows[0]["label"] == "pituitary"
    assert float(rows[0]["p_pituitary"]) == float(rows[0]["confidence"])
    assert "no such file" in rows[3]["error"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = Path("t.csv").read_bytes()
    monkeypatch.setattr("tumorlens.explain.scan.predict_scans", stop)
    assert run("predict", "--csv", "t.csv", "--model", tiny_bundle, "a,b.png")[0] == 130
    assert Path("t.csv").read_bytes() == before


# usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict"],
        ["predict", "a.png", "--magic"],
        ["explain", "a.png"],
        ["unknown"],
        ["train", "--data", "x"],
        ["train", "--data", "x", "--out", "y", "--backend", "os"],
        ["train", "--data", "x", "--out", "y", "--recipe", "heavy"],
        ["train", "--data", "x", "--out", "y", "--epochs", "many"],
        ["train", "--data", "x", "--out", "y", "--epochs", "0"],
        ["train", "--data", "x", "--out", "y", "--seed", "-1"],
        ["train", "--data", "x", "--out", "y", "--precision", "float31"],
        ["train", "--data", "x", "--out", "y", "--network", "vgg"],
        ["train", "--data", "x", "--out", "y", "--weights", "nowhere.safetensors"],
        ["export", "x"],
        ["export", "x", "--out", "y"],
        ["export", "x", "--out", "y", "--precision", "int4"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_leaves_nothing(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert "rror: " in err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_bundle_is_status_2(
    run: Run, tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (bundle / "model.onnx").write_bytes(b"garbage")
    status, out, err = run("predict", picture, "--model", bundle)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert "is not the file its card describes" in err


def test_stopping_is_status_130(
    run: Run, tiny_bundle: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tumorlens.explain.scan.predict_scans", stop)
    status, out, err = run("predict", picture, "--model", tiny_bundle)
    assert (status, out) == (130, "")
    assert "stopped" in err


def test_help_is_there_and_loads_nothing_that_costs() -> None:
    code = """
import sys
sys.argv = ["tumorlens", *sys.argv[1:]]
from tumorlens.apps.cli.main import main
try:
    main()
except SystemExit as stopped:
    assert stopped.code == 0
heavy = {"numpy", "PIL", "onnxruntime", "keras", "tensorflow", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    for arguments in (["--help"], ["predict", "-h"], ["train", "--help"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "tumorlens" in done.stdout


def test_help_names_every_command(run: Run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for name in ("predict", "explain", "train", "export", "info", "demo"):
        assert f"\n  {name} " in out
    assert "not a medical device" in out


# info, demo


def test_info_shows_the_card(run: Run, tiny_bundle: Path) -> None:
    card = open_bundle(tiny_bundle).card
    status, out, _ = run("info", "--model", tiny_bundle)
    assert status == 0
    assert "tiny-float@1 (tiny, float32)" in out
    assert f"{card.metrics['accuracy']:.4f} on 48 pictures of Testing" in out
    status, out, _ = run("info", "--model", tiny_bundle, "--json")
    assert status == 0
    assert out == card.to_json()


def test_info_takes_the_card_of_a_stranger(
    run: Run, tiny_bundle: Path, tmp_path: Path, change_card: Callable[..., None]
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    change_card(bundle, metrics={"dice": 0.7}, limitations="never seen a child's head")
    status, out, _ = run("info", "--model", bundle)
    assert status == 0
    assert "never seen a child's head" in out


def test_the_demonstration_answers_and_explains(
    run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    for _ in range(2):  # the second replaces what the first made
        status, out, _ = run("demo", "--model", tiny_bundle, "--out", tmp_path / "demo")
        assert status == 0
        made = {p.name for p in (tmp_path / "demo").iterdir()}
        assert made == {"demo.json", "demo.png", "healthy", "drawn-tumour", "slices"}
        assert (tmp_path / "demo" / "healthy" / "manifest.json").is_file()
        assert str(tmp_path / "demo" / "demo.png") in out
        assert str(tmp_path / "demo" / "slices") in out
        assert "drawn" in out
        assert "not a medical device" in out
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "demo.png").write_text("precious")
    status, _, err = run("demo", "--model", tiny_bundle, "--out", tmp_path / "mine")
    assert status == 2
    assert "not empty" in err
    assert (tmp_path / "mine" / "demo.png").read_text() == "precious"


def test_the_demonstration_shows_unseen_slices_of_each_class(
    run: Run,
    tiny_bundle: Path,
    testing: dict[str, list[Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    known = {}
    for label, pictures in testing.items():
        for fold, picture in enumerate(pictures[:2]):
            shutil.copy(picture, data)
            sha256 = hash_file(picture)
            known[sha256] = Published(sha256, label, "", fold)
    monkeypatch.setattr("tumorlens.apps.demo.published", lambda: known)
    out = tmp_path / "demo"
    status, said, _ = run("demo", "--data", data, "--out", out, "--model", tiny_bundle)
    assert status == 0
    assert said.count("Fold 0, in truth ") == 4
    for label, pictures in testing.items():
        manifest = json.loads((out / label / "manifest.json").read_text())
        assert Path(manifest["path"]).name == pictures[0].name
    (tmp_path / "empty").mkdir()
    status, _, err = run("demo", "--data", tmp_path / "empty", "--model", tiny_bundle)
    assert status == 2
    assert "tumorlens data download" in err


def test_the_shipped_model_finds_the_drawn_tumour(run: Run, tmp_path: Path) -> None:
    status, out, _ = run("demo", "--out", tmp_path / "demo")
    assert status == 0
    healthy, drawn = out.split("\n\n")[:2]
    assert "no tumour, " in healthy
    assert "glioma, " in drawn
    manifest = json.loads((tmp_path / "demo" / "drawn-tumour" / "manifest.json").read_text())
    assert manifest["assessable"]
    heat = np.load(tmp_path / "demo" / "drawn-tumour" / "map.npy")
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert np.hypot(row - 90, column - 78) < 17
    # The slices are there to be tried, and get the same answers.
    status, again, _ = run("predict", tmp_path / "demo" / "slices")
    assert status == 0
    shown = [text.splitlines()[1].replace(",", "") for text in (drawn, healthy)]
    answers = [line.partition("%")[0].split() for line in again.splitlines()]
    assert answers == [line.partition("%")[0].split() for line in shown]


# train, export


def test_training_and_export_from_nothing_to_an_answer(run: Run, tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "data", training=4, testing=2, size=48)
    arguments = ["--network", "tiny", "--size", "32", "--batch", "8", "--learning-rate", "0.01"]
    arguments += ["--validation", "0", "--seed", "3", "--schedule", "constant"]
    arguments += ["--weights", "random"]
    begun = tmp_path / "run"
    status, out, err = run("train", "--data", data, "--out", begun, *arguments, "--epochs", "2")
    assert status == 0
    assert "trained tiny for 2 epochs" in out
    assert f"next: tumorlens export {begun}" in out
    assert "training 4/4" in err

    status, out, err = run("train", "--data", data, "--out", begun, *arguments, "--epochs", "3")
    assert (status, out) == (2, "")
    assert "epochs is 2, asked for 3" in err

    bundle = tmp_path / "bundle"
    named = ["--name", "mine", "--model-version", "5", "--epoch", "1", "--no-weights"]
    status, out, _ = run("export", begun, "--out", bundle, *named)
    assert status == 0
    assert f"exported: {bundle}" in out
    assert {p.name for p in bundle.iterdir()} == {"model.json", "model.onnx"}
    card = open_bundle(bundle).card
    assert (card.id, card.precision, card.training["epoch"]) == ("mine@5", "int8", 1)

    status, _, err = run("export", begun, "--out", bundle)
    assert status == 2
    assert "exists and is not empty" in err

    picture = next((data / "Testing" / "glioma").iterdir())
    status, out, _ = run("predict", picture, "--model", bundle, "--json")
    assert status == 0
    assert records(out)[0]["model"] == "mine@5"


def test_no_place_to_export_to_is_said(
    run: Run, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("export", tiny_run, "--out", ".")
    assert (status, out) == (2, "")
    assert "error: " in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"], ["--help"]])
def test_a_full_disk_is_a_sentence(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tumorlens", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_recipes_name_their_starting_weights_and_go_on(run: Run, tmp_path: Path) -> None:
    data = write_phantoms(tmp_path / "data", training=4, testing=1, size=48)
    arguments = ["--network", "tiny", "--size", "32", "--batch", "8", "--epochs", "1"]
    arguments += ["--data", data, "--out", tmp_path / "run"]
    status, _, err = run("train", *arguments)
    assert status == 2
    assert "has no ImageNet weights" in err
    assert not (tmp_path / "run").exists()
    status, _, err = run("train", *arguments, "--weights", "random")
    assert status == 0
    assert "training tiny from random weights" in err
    status, _, err = run("train", *arguments, "--weights", "random")
    assert status == 0
    assert "going on after epoch 1 of 1" in err
