"""The page, in a real browser, on a real server."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from web_server import Server, png, real_png, real_volume, running, wait_for

from tumorlens.apps.web import batching
from tumorlens.apps.web.cases import Cases
from tumorlens.apps.web.limits import Memory, WebLimits
from tumorlens.apps.web.problems import Problem
from tumorlens.classifier import Classifier
from tumorlens.explain.explainer import Explainable, Question
from tumorlens.explain.explanation import Explanation
from tumorlens.images.slice import Slice
from tumorlens.progress import Progress

TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop-light", "phone-dark"])
def page(request: pytest.FixtureRequest, browser: Browser, server: Server) -> Iterator[Page]:
    """The page, which may say nothing on its console and ask nobody else."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, accept_downloads=True
    )
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    home = f"http://127.0.0.1:{server.port}/"
    others: list[str] = []
    opened.on("request", lambda asked: others.append(asked.url))
    opened.goto(home)
    yield opened
    context.close()
    assert said == []
    assert [url for url in others if not url.startswith((home, "blob:"))] == []


def give(page: Page, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.locator("#files").set_input_files(file)  # type: ignore[arg-type]


def blank_png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (128, 128)).save(file, "PNG")
    return file.getvalue()


def saved_record(page: Page) -> dict[str, Any]:
    with page.expect_download() as downloaded:
        page.locator("#record").click()
    found: dict[str, Any] = json.loads(Path(downloaded.value.path()).read_text())
    return found


def is_accessible(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def fits(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"the page is {wide} pixels too wide"


def test_a_picture_is_answered_and_explained(page: Page) -> None:
    give(page, "<img src=x onerror=alert(1)>.png", real_png())
    expect(page.locator("#caption0")).to_contain_text("Grad-CAM for", timeout=30_000)
    expect(page.locator("#answer")).not_to_have_text("…")
    expect(page.locator("#probabilities meter")).to_have_count(4)
    expect(page.locator("#list button")).to_contain_text("<img src=x onerror=alert(1)>.png")
    plain = page.evaluate("pane0.toDataURL()")
    page.locator("#style").select_option("contour")
    assert page.evaluate("pane0.toDataURL()") != plain
    page.locator("#method1").select_option("layercam")
    expect(page.locator("#caption1")).to_contain_text("LayerCAM", timeout=30_000)
    page.locator("#versus").select_option("notumor")
    expect(page.locator("#caption0")).to_contain_text("rather than no tumour", timeout=30_000)
    record = saved_record(page)
    assert (record["method"], record["versus"]) == ("gradcam", "notumor")
    is_accessible(page)
    fits(page)


def test_a_volume_is_gone_through_by_keys(page: Page) -> None:
    give(page, "head.nii", real_volume())
    expect(page.locator("#status")).to_have_text("5 slices answered", timeout=30_000)
    expect(page.locator("#number")).to_have_text("3 of 5")  # opened where to look first
    expect(page.locator("#whole")).to_contain_text("Whole volume: glioma (")
    expect(page.locator("#whole")).to_contain_text("5 of 5 slices assessable")
    expect(page.locator("#whole button")).to_have_text(["3", "2", "4", "1", "5"])
    expect(page.locator("#list button")).to_contain_text("look first at slice 3, 2, 4")
    page.locator("#whole button").nth(3).click()
    expect(page.locator("#answer")).to_have_text("This slice: no tumour")
    page.locator("#slice").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#name")).to_have_text("head.nii, slice 2 of 5")
    expect(page.locator("#caption0")).to_contain_text("Grad-CAM for", timeout=30_000)
    before = page.evaluate("pane0.toDataURL()")
    page.locator("#level").focus()
    page.keyboard.press("PageUp")
    assert page.evaluate("pane0.toDataURL()") != before
    is_accessible(page)
    fits(page)


def test_a_record_is_of_what_is_shown_and_what_was_passed_is_dropped(
    page: Page, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, finished, explain = threading.Event(), list[int](), batching.explain_slices

    def slow(
        classifier: Explainable, pictures: Sequence[Slice], question: Question, progress: Progress
    ) -> list[Explanation]:
        if question.method == "scorecam":
            while not gate.wait(0.01):
                progress("passes", 1, 0)
            finished.extend(picture.index for picture in pictures)
        quick = replace(question, method="gradcam")
        found = explain(classifier, pictures, quick, progress=progress)
        return [replace(explained, method=question.method) for explained in found]

    monkeypatch.setattr(batching, "explain_slices", slow)
    give(page, "head.nii", real_volume())
    expect(page.locator("#status")).to_have_text("5 slices answered", timeout=30_000)
    page.locator("#slice").fill("0")
    expect(page.locator("#record")).to_be_enabled(timeout=30_000)
    page.locator("#method0").select_option("scorecam")
    expect(page.locator("#record")).to_be_disabled()
    page.locator("#slice").focus()
    for i in range(1, 4):
        with page.expect_request(re.compile(f"/{i}/map")):
            page.keyboard.press("ArrowRight")
    wait_for(server, b"tumorlens_requests_at_work 1.0")
    gate.set()
    expect(page.locator("#caption0")).to_contain_text("Score-CAM for", timeout=30_000)
    assert saved_record(page)["slice"] == 3 == finished[0] == finished[-1]
    page.locator("#target").select_option("glioma")
    page.locator("#versus").select_option("glioma")
    both = "Class and Rather than are both glioma: choose another class in one of them."
    expect(page.get_by_text("glioma: choose")).to_have_text(both)
    expect(page.locator("#record")).to_be_disabled()
    page.locator("#versus").select_option("notumor")
    expect(page.locator("#caption0")).to_contain_text("rather than no tumour", timeout=30_000)
    expect(page.get_by_text("glioma: choose")).to_have_count(0)
    assert (saved_record(page)["method"], saved_record(page)["versus"]) == ("scorecam", "notumor")


def test_two_slices_stand_side_by_side(page: Page) -> None:
    give(page, "head.nii", real_volume())
    expect(page.locator("#status")).to_have_text("5 slices answered", timeout=30_000)
    expect(page.locator("#number")).to_have_text("3 of 5")
    expect(page.locator("#record")).to_be_enabled(timeout=30_000)
    first = page.evaluate("pane0.toDataURL()")
    page.locator("#keep").click()
    page.locator("#slice").fill("0")
    expect(page.locator("#caption0")).to_contain_text("the map is empty", timeout=30_000)
    expect(page.locator("#caption1")).to_contain_text("head.nii, slice 3 of 5")
    assert page.evaluate("pane1.toDataURL()") == first != page.evaluate("pane0.toDataURL()")
    is_accessible(page)
    fits(page)
    page.locator("#level").fill("40")
    assert page.evaluate("pane1.toDataURL()") != first
    page.locator("#method1").select_option("layercam")
    expect(page.locator("#caption1")).to_contain_text("the map is empty", timeout=30_000)
    page.locator("#method1").select_option("")
    expect(page.locator("#second")).to_be_hidden()


def test_the_bar_leads_to_the_slice_and_shows_where_the_evidence_lies(page: Page) -> None:
    give(page, "head.nii", real_volume())
    expect(page.locator("#status")).to_have_text("5 slices answered", timeout=30_000)
    heights = page.evaluate(
        """() => { const w = bar.width, h = bar.height;
        const data = bar.getContext("2d").getImageData(0, 0, w, h).data;
        return [0, 1, 2, 3, 4].map((i) => { const x = Math.floor((i + 0.25) * w / 5);
        let n = 0; for (let y = 0; y < h; y += 1) n += data[4 * (y * w + x) + 3] > 0;
        return n; }); }"""
    )
    assert min(heights[1:4]) > max(heights[0], heights[4])
    box = page.locator("#bar").bounding_box()
    assert box
    page.locator("#bar").click(position={"x": box["width"] * 0.7, "y": 10})
    expect(page.locator("#number")).to_have_text("4 of 5")
    page.locator("#panes").hover()
    page.mouse.wheel(0, 100)
    expect(page.locator("#number")).to_have_text("5 of 5")


@pytest.mark.parametrize("form", ["html", "pdf"])
def test_the_report_of_all_scans_is_downloaded(page: Page, form: str) -> None:
    if form == "pdf":
        pytest.importorskip("reportlab", reason="a PDF needs the report extra")
    for name, content in (("a.png", real_png()), ("b.pdf", b"%PDF-1.7")):
        give(page, name, content)
        expect(page.locator("#list button").filter(has_text=name)).not_to_contain_text("…")
    expect(page.locator("#caption0")).to_contain_text("Grad-CAM for", timeout=30_000)
    with page.expect_download() as downloaded:
        page.locator(f"#report button[data-form={form}]").click()
    assert downloaded.value.suggested_filename == f"tumorlens-report.{form}"
    content = Path(downloaded.value.path()).read_bytes()
    expect(page.locator("#status")).to_have_text("the report is written")
    if form == "html":
        assert b"a.png" in content
        assert b"<b>b.pdf</b>: a PDF" in content
    else:
        assert content.startswith(b"%PDF-")


def test_what_cannot_be_read_is_said_and_the_others_go_on(page: Page) -> None:
    page.locator("#files").set_input_files(
        [
            {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"},
            {"name": "b.png", "mimeType": "image/png", "buffer": blank_png()},
        ]
    )
    expect(page.locator("#list button").nth(0)).to_contain_text("a PDF", timeout=30_000)
    expect(page.locator("#list button").nth(1)).to_have_text("b.pngnot assessable", timeout=30_000)
    expect(page.locator("#answer")).to_contain_text("Not assessable: no class is named. ")
    expect(page.locator("#probabilities")).to_be_hidden()
    expect(page.get_by_text("in the set")).to_have_count(0)


def test_the_page_on_trust_is_the_card(page: Page, shipped: Classifier) -> None:
    scans = page
    with scans.expect_popup() as opened:  # beside the scans, which stay
        scans.get_by_role("link", name="How far to trust this").click()
    page = opened.value
    expect(page.locator("main")).to_contain_text(shipped.card.id)
    expect(page.locator("main")).to_contain_text(shipped.card.limitations)
    is_accessible(page)
    fits(page)


def test_a_closed_page_leaves_nothing_behind(browser: Browser, shipped: Classifier) -> None:
    with running(shipped) as server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        give(page, "a.png", png())
        expect(page.locator("#status")).to_have_text("1 slice answered", timeout=30_000)
        assert b"tumorlens_bytes_held 0.0" not in server.get("/metrics").body
        page.goto("about:blank")
        page.wait_for_timeout(500)
        assert b"tumorlens_bytes_held 0.0" in server.get("/metrics").body
        page.close()


def test_a_browser_signs_in_once(browser: Browser, shipped: Classifier) -> None:
    with running(shipped, token=TOKEN) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Brain MRI slices")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        context.close()


def test_scans_are_forgotten_after_a_while_and_the_oldest_make_room() -> None:
    now = [0.0]
    limits = WebLimits(cases=2, case_seconds=10)
    memory = Memory(1000)
    cases = Cases(limits, memory, lambda: now[0])
    names = []
    for size in (100, 200, 300):
        with memory.hold() as hold:
            hold.take(size)
            names.append(cases.add([], hold))
        now[0] += 1
    assert memory.used == 500
    with pytest.raises(Problem, match="open them again"):
        cases.get(names[0])
    now[0] += 10
    with pytest.raises(Problem, match="open them again"):
        cases.get(names[2])
    assert memory.used == 0
