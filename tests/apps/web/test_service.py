"""The service answers what the classifier answers, in the form it promises."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from web_server import Server, form, png, real_volume, running, wait_for

from dicoms import SECRETS, two_stacks, write_series
from tumorlens.apps.cli.predict import predict
from tumorlens.apps.cli.web import web
from tumorlens.apps.web import reports
from tumorlens.apps.web.limits import WebLimits
from tumorlens.classifier import Classifier
from tumorlens.data.phantom import draw_phantom
from tumorlens.explain.cam import METHODS
from tumorlens.images.read import read_slices

PREDICT, EXPLAIN, REPORT = (f"/api/v1/{name}" for name in ("predict", "explain", "report"))


def test_answers_are_those_of_the_classifier(server: Server, shipped: Classifier) -> None:
    said = server.send(PREDICT, png()).json()
    expected = shipped.predict(png()).to_dict()
    assert said["model"] == shipped.card.id
    (answer,) = said["answers"]
    assert answer["probabilities"] == pytest.approx(expected.pop("probabilities"), abs=1e-4)
    assert answer["confidence"] == pytest.approx(expected.pop("confidence"), abs=1e-4)
    assert {name: answer[name] for name in expected} == expected


def test_several_files_are_answered_in_order_and_one_that_is_broken_stops_none(
    server: Server,
) -> None:
    files = ("a.png", png("notumor", 3)), ("b.png", png()[:200]), ("c.png", png("glioma", 5))
    answers = server.upload(PREDICT, *files).json()["answers"]
    assert [answer["path"] for answer in answers] == ["a.png", "b.png", "c.png"]
    assert ["error" in answer for answer in answers] == [False, True, False]
    assert answers[1]["error"]["message"].startswith("b.png: ")


def test_files_of_one_dicom_series_become_a_volume_in_its_own_order(
    server: Server, tmp_path: Path
) -> None:
    values = np.stack([draw_phantom("glioma", i, 96).pixels for i in range(4)]).astype(np.int16)
    paths = write_series(tmp_path, values)
    sent = [(path.name, path.read_bytes()) for path in reversed(paths)]
    answers = server.upload(PREDICT, *sent).json()["answers"]
    whole = answers.pop()
    assert [answer["slice"] for answer in answers] == [0, 1, 2, 3]
    assert {answer["path"] for answer in answers} == {whole["path"], whole["volume"]["first"]}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sent:
            archive.writestr(f"folder/{name}", data)
        archive.writestr("__MACOSX/folder/._junk", b"junk")
    again = server.send(PREDICT, packed.getvalue(), "application/zip").json()["answers"]
    assert [a["confidence"] for a in again[:-1]] == pytest.approx(
        [a["confidence"] for a in answers]
    )


def test_a_file_of_two_stacks_is_two_volumes_on_page_and_in_service(server: Server) -> None:
    values = np.random.default_rng(1).integers(0, 900, (7, 32, 32)).astype(np.int16)
    answers = server.upload(PREDICT, ("two.dcm", two_stacks(values, 3))).json()["answers"]
    assert [one.get("slice") for one in answers] == [0, 1, 2, None, 0, 1, 2, 3, None]
    assert [one["volume"]["plane"] for one in answers if "volume" in one] == ["axial", "sagittal"]
    said = server.upload("/page/cases", ("two.dcm", two_stacks(values, 3))).json()
    told = [(scan["name"], scan["count"]) for scan in said["scans"]]
    assert told == [("two.dcm", 3), ("two.dcm (2)", 4)]
    assert server.ask("DELETE", f"/page/cases/{said['case']}").status == 204


def test_a_volume_is_answered_as_on_the_command_line(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "head.nii"
    path.write_bytes(real_volume())
    answers = server.upload(PREDICT, (path.name, path.read_bytes())).json()["answers"]
    printed = CliRunner().invoke(predict, ["--json", str(path)]).stdout.splitlines()
    rows = [json.loads(line) for line in printed]
    assert [answer.get("slice") for answer in answers] == [0, 1, 2, 3, 4, None]
    said, expected = answers[-1]["volume"], rows[-1]["volume"]
    for name in ("confidence", "probabilities"):
        assert said.pop(name) == pytest.approx(expected.pop(name), abs=1e-4)
    assert (answers[-1]["path"], said) == ("head.nii", expected)
    described = server.get("/api/v1/openapi.json").json()["components"]["schemas"]
    assert set(described["VolumeAnswer"]["properties"]["volume"]["required"]) == {
        *said,
        "confidence",
        "probabilities",
    }


def test_an_explanation_comes_with_its_record_map_and_picture(
    server: Server, shipped: Classifier
) -> None:
    query = "?method=gradcam%2B%2B&target=Glioma&versus=no%20tumour"
    said = server.upload(EXPLAIN + query, ("scan.png", png())).json()
    expected = shipped.explain(png(), method="gradcam++", target="glioma", versus="notumor")
    record = said["record"]
    assert (record["path"], record["method"], record["versus"]) == (
        "scan.png",
        "gradcam++",
        "notumor",
    )
    heat = np.load(io.BytesIO(base64.b64decode(said["map_npy"])), allow_pickle=False)
    np.testing.assert_allclose(heat, expected.map, atol=1e-3)
    assert Image.open(io.BytesIO(base64.b64decode(said["overlay_png"]))).format == "PNG"


@pytest.mark.parametrize("form", ["png", "npy"])
def test_a_picture_or_a_map_can_be_had_alone(server: Server, form: str) -> None:
    got = server.send(f"{EXPLAIN}?format={form}", png())
    assert got.status == 200
    if form == "png":
        assert read_slices(got.body)[0].width > 128
    else:
        assert np.load(io.BytesIO(got.body), allow_pickle=False).shape == (128, 128)


def test_a_report_holds_all_that_was_sent(server: Server, tmp_path: Path) -> None:
    values = np.stack([draw_phantom("glioma", i, 96).pixels for i in range(3)]).astype(np.int16)
    series = [(path.name, path.read_bytes()) for path in write_series(tmp_path, values)]
    got = server.upload(f"{REPORT}?method=layercam", ("a.png", png()), ("b.txt", b"no"), *series)
    assert got.status == 200
    assert got.headers["content-type"].startswith("text/html")
    assert got.headers["content-disposition"] == 'attachment; filename="tumorlens-report.html"'
    page = got.body.decode()
    assert "1 picture and 1 volume" in page
    assert "<b>b.txt</b>: " in page
    assert not [secret for secret in SECRETS if secret in page]
    assert "&lt;bytes&gt;" not in page


def test_a_report_is_a_pdf_where_that_can_be_made(server: Server) -> None:
    pytest.importorskip("reportlab", reason="a PDF needs the report extra")
    got = server.send(f"{REPORT}?format=pdf", png())
    assert got.status == 200
    assert got.headers["content-type"] == "application/pdf"
    assert got.body.startswith(b"%PDF-")


def test_where_no_pdf_can_be_made_the_reason_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "reportlab", None)
    got = server.send(f"{REPORT}?format=pdf", png())
    assert got.status == 422
    assert "pip install 'tumorlens[report]'" in got.json()["detail"]
    assert b'data-form="pdf"' not in server.get("/").body


@pytest.mark.parametrize(
    ("query", "status"),
    [("?format=doc", 422), ("?slice=1", 422), ("?method=none", 422), ("?target=x", 422)],
)
def test_a_report_that_cannot_be_made_is_refused(server: Server, query: str, status: int) -> None:
    assert server.send(f"{REPORT}{query}", png()).status == status


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_offered(spot_server: Server, method: str) -> None:
    got = spot_server.send(f"{EXPLAIN}?method={method.replace('+', '%2B')}", png())
    assert got.status == 200, got.body
    assert got.json()["record"]["method"] == method


@pytest.mark.parametrize(
    ("path", "content", "kind", "status"),
    [
        (PREDICT, b"", "image/png", 422),
        (PREDICT, png()[:300], "image/png", 422),
        (PREDICT, b"%PDF-1.7 nothing here", "application/octet-stream", 415),
        (PREDICT, png(), "application/json", 415),
        (PREDICT, png(), "application/x-www-form-urlencoded", 415),
        (PREDICT, png(), "multipart/form-data", 400),
        (PREDICT, b"no form at all", "multipart/form-data; boundary=x", 400),
        (PREDICT + "?mehtod=gradcam", png(), "image/png", 422),
        (EXPLAIN + "?method=nothing", png(), "image/png", 422),
        (EXPLAIN + "?target=wombat", png(), "image/png", 422),
        (EXPLAIN + "?target=glioma&versus=glioma", png(), "image/png", 422),
        (EXPLAIN + "?slice=7", png(), "image/png", 422),
        (EXPLAIN + "?slice=-1", png(), "image/png", 422),
        (EXPLAIN + "?slice=1&slice=2", png(), "image/png", 422),
        (EXPLAIN + "?format=exe", png(), "image/png", 422),
        ("/api/v1/nothing", png(), "image/png", 404),
    ],
)
def test_what_is_wrong_is_said_as_a_problem(
    server: Server, path: str, content: bytes, kind: str, status: int
) -> None:
    got = server.send(path, content, kind)
    assert (got.status, got.headers["content-type"]) == (status, "application/problem+json")
    assert got.json()["status"] == status
    assert got.json()["detail"]


def test_a_form_may_hold_nothing_but_files(server: Server) -> None:
    body, kind = form(("x.png", png()), field="picture")
    got = server.send(PREDICT, body, kind)
    assert (got.status, "'picture'" in got.json()["detail"]) == (422, True)


def test_health_readiness_and_counters(server: Server, shipped: Classifier) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {"status": "ready", "model": shipped.card.id}
    server.send(PREDICT, png())
    said = server.get("/metrics")
    assert said.headers["content-type"].startswith("text/plain")
    assert b'tumorlens_requests_total{route="predict",status="200"}' in said.body
    assert b"tumorlens_bytes_held 0.0" in said.body


def test_the_health_check_of_the_container_asks_the_service_alone(server: Server) -> None:
    file = Path(__file__).parents[3] / "Containerfile"
    if not file.is_file():
        pytest.skip("not in a clone")
    text = file.read_text(encoding="utf-8").replace("\\\n", "")
    (check,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.MULTILINE)
    _, *options = json.loads(check)
    assert "8642" in options[-1]
    proxy = {**os.environ, "http_proxy": "http://127.0.0.1:9", "no_proxy": ""}  # as Podman hands on
    for port, status in ((server.port, 0), (9, 1)):
        here = [sys.executable, *options[:-1], options[-1].replace("8642", str(port))]
        ran = subprocess.run(here, env=proxy, capture_output=True, check=False)
        assert ran.returncode == status


def test_requests_at_once_share_passes_through_the_network(
    shipped: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, asked = [], shipped.predict_prepared
    begun, gate = threading.Event(), threading.Event()

    def counted(pictures, prepared):  # type: ignore[no-untyped-def]
        sizes.append(len(pictures))
        begun.set()
        assert gate.wait(60)  # the first batch takes long, the others gather
        return asked(pictures, prepared)

    monkeypatch.setattr(shipped, "predict_prepared", counted)
    with running(shipped) as server, ThreadPoolExecutor(9) as clients:
        first = clients.submit(server.send, PREDICT, png())
        assert begun.wait(30)
        others = [clients.submit(server.send, PREDICT, png(seed=i)) for i in range(8)]
        wait_for(server, b"tumorlens_slices_waiting 8.0")
        gate.set()
        assert {done.result().status for done in (first, *others)} == {200}
    assert sizes == [1, 8]


def test_nothing_of_an_upload_reaches_the_disk(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("an upload was spooled to disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", never)
    file = io.BytesIO()
    Image.fromarray(draw_phantom("glioma", 1, 2048).pixels).save(file, "BMP")
    assert len(file.getvalue()) > 4 * 2**20  # beyond what Starlette keeps in memory by itself
    assert server.upload(PREDICT, ("large.bmp", file.getvalue())).status == 200


def test_no_name_is_looked_up_or_logged(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = np.zeros((4, 4, 2), np.int16)
    pair = nibabel.Nifti1Pair(values, np.eye(4))
    nibabel.save(pair, tmp_path / "patient.hdr")
    with caplog.at_level("INFO"):
        header = (tmp_path / "patient.hdr").read_bytes()
        got = server.upload(PREDICT, (str(tmp_path / "patient.hdr"), header))
        end = time.monotonic() + 10
        while not caplog.text and time.monotonic() < end:  # the line comes after the answer
            time.sleep(0.01)
    assert got.status == 422  # though the other half lies where the name says
    assert "POST predict 422" in caplog.text
    assert "patient" not in caplog.text


def test_the_service_ends_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tumorlens", "web", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stderr is not None
        url = next(line for line in process.stderr if "http://" in line)
        server = Server(int(url.split(":")[2].split("/")[0]))
        assert server.send(PREDICT, png()).status == 200
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "give a token"),
        (["--token", "short"], "at least 16"),
        (["--port", "99999"], "99999"),
    ],
)
def test_the_command_refuses_what_is_unsafe(arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(web, arguments)
    assert done.exit_code == 2
    assert says in done.output


def test_limits_are_numbers_from_one() -> None:
    with pytest.raises(ValueError, match="`files` must be at least 1"):
        WebLimits(files=0)


def test_a_report_that_nobody_waits_for_is_given_up(
    shipped: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def endless(*_: object, progress: Callable[[str, int, int], None], **__: object) -> None:
        try:
            while True:
                progress("looked at", 1, 0)
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(reports, "make_case", endless)
    with running(shipped, WebLimits(answer_seconds=1)) as server:
        got = server.send(REPORT, png())
        assert (got.status, got.headers["retry-after"]) == (503, "30")
        assert ended.wait(10)
        assert server.send(PREDICT, png()).status == 200
