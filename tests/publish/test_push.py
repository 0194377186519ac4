"""Publishing: what is shown is what is written, and it loads again."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import tumorlens
from hub_server import Hub, serve, use_cache
from tumorlens.errors import ModelError
from tumorlens.models.bundle import read_card
from tumorlens.models.card import Card
from tumorlens.models.store import DEFAULT_MODEL, find_bundle, open_bundle
from tumorlens.publish.hub_card import hub_card
from tumorlens.publish.push import pack, push

REPO = "lab/tiny"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    use_cache(monkeypatch, tmp_path)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with serve() as hub:
        monkeypatch.setenv("HF_TOKEN", hub.token)
        yield hub


def test_what_is_published_loads_again(hub: Hub, tiny_bundle: Path, picture: Path) -> None:
    parcel = pack(tiny_bundle, REPO)
    origin = push(parcel, endpoint=hub.url)
    assert origin == f"hf://{REPO}@{hub.refs[REPO]['main']}"
    written = hub.repos[REPO][hub.refs[REPO]["main"]]
    assert set(written) == {
        *("model.json", "model.onnx", "weights.safetensors", "README.md", ".gitattributes")
    }
    for name, path in parcel.files.items():
        assert written[name] == path.read_bytes()
    assert written["README.md"].decode() == parcel.readme
    again = tumorlens.load(origin, endpoint=hub.url)
    assert again.predict(picture) == tumorlens.load(tiny_bundle).predict(picture)
    assert len(hub.commits) == 1  # whole or not at all


def test_a_second_push_is_a_second_commit(hub: Hub, tiny_bundle: Path) -> None:
    first = push(pack(tiny_bundle, REPO), endpoint=hub.url)
    second = push(pack(tiny_bundle, REPO), endpoint=hub.url)
    assert first == second  # the same content
    assert len(hub.commits) == 2


def test_files_that_the_card_does_not_name_stay_at_home(
    hub: Hub, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "mine")
    (bundle / "patients.csv").write_text("names")
    push(pack(bundle, REPO), endpoint=hub.url)
    assert "patients.csv" not in hub.repos[REPO][hub.refs[REPO]["main"]]


def test_packing_asks_the_hub_nothing(hub: Hub, tiny_bundle: Path) -> None:
    text = pack(tiny_bundle, REPO).to_text()
    assert hub.requests == []
    assert text.startswith(f"to hf://{REPO}:\n")
    for name in ("model.json", "model.onnx", "weights.safetensors", "README.md"):
        assert f"  {name}\n" in text
    assert "library_name: tumorlens" in text


def test_private_means_private(hub: Hub, tiny_bundle: Path) -> None:
    push(pack(tiny_bundle, REPO), private=True, endpoint=hub.url)
    assert REPO in hub.private
    hub.private.clear()
    with pytest.raises(ModelError, match=r"is there and public.*Nothing was written"):
        push(pack(tiny_bundle, REPO), private=True, endpoint=hub.url)
    assert len(hub.commits) == 1


def test_without_a_token_it_says_how_to_sign_in(
    hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ModelError, match=r"cannot be written: .*401.*hf auth login"):
        push(pack(tiny_bundle, REPO), endpoint=hub.url)
    assert hub.repos == {}


def test_without_a_network_it_says_so(hub: Hub, tiny_bundle: Path) -> None:
    del hub
    with pytest.raises(ModelError, match="cannot be written"):
        push(pack(tiny_bundle, REPO), endpoint="http://127.0.0.1:9")


def test_a_bundle_that_is_not_its_card_s_is_not_published(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "mine")
    (bundle / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"is not published: weights\.safetensors: SHA-256"):
        pack(bundle, REPO)


@pytest.mark.parametrize(
    "repo",
    [
        *("tiny", "a/b/c", "../x", "lab/..", "", "/", "lab/", "lab/tiny@main"),
        *("lab/.git", "lab/tiny.git", "lab/a..b", "lab/a--b", "lab/--", "lab/-a", "lab/ä"),
        *("lab/" + "x" * 97, "https://huggingface.co/lab/tiny"),
    ],
    ids=ascii,
)
def test_odd_names_are_refused(repo: str) -> None:
    with pytest.raises(ModelError, match="names no repository on the hub"):
        pack(DEFAULT_MODEL, repo)


@pytest.mark.parametrize("repo", ["hf://lab/tiny", "HF://lab/tiny", "lab/tiny"])
def test_a_repository_may_be_named_as_it_is_loaded(repo: str) -> None:
    assert pack(DEFAULT_MODEL, repo).repo == "lab/tiny"


# the page


def metadata(page: str) -> dict[str, Any]:
    _, block, _ = page.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


def test_the_page_has_the_hub_s_metadata() -> None:
    card = read_card(find_bundle("mobilenetv2-official").folder)
    found = metadata(hub_card(card, "lab/brain"))
    assert found["license"] == "apache-2.0"
    assert found["library_name"] == "tumorlens"
    assert found["pipeline_tag"] == "image-classification"
    assert found["datasets"] == ["masoudnickparvar/brain-tumor-mri-dataset"]
    assert {"tumorlens", "mobilenetv2", "int8"} <= set(found["tags"])
    (index,) = found["model-index"]
    (result,) = index["results"]
    assert result["dataset"]["name"] == "Testing (leaks into training)"
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    assert values["accuracy"] == card.metrics["accuracy"]
    assert values["recall of glioma"] == card.metrics["recall"]["glioma"]
    assert set(found["metrics"]) == {metric["type"] for metric in result["metrics"]}


def test_huggingface_hub_reads_the_page(tiny_bundle: Path) -> None:
    read = ModelCard(hub_card(open_bundle(tiny_bundle).card, REPO))
    assert read.data.license == "apache-2.0"
    assert read.data.eval_results[0].metric_type == "accuracy"
    assert "not a medical device" in read.text


def test_the_page_says_what_the_card_says(tiny_bundle: Path) -> None:
    card = open_bundle(tiny_bundle).card
    page = hub_card(card, REPO)
    assert f'tumorlens.load("hf://{REPO}")' in page
    assert "glioma, meningioma, notumor, pituitary" in page
    assert "a split that leaks" in page
    for name, row in card.files.items():
        assert f"| `{name}` | `{row['sha256']}` |" in page
    for row in card.metrics["confusion_matrix"]:
        assert f"| {' | '.join(map(str, row))} |" in page


def test_a_bare_card_still_makes_a_page(
    spot_bundle: Callable[..., Path], change_card: Callable[..., None]
) -> None:
    bundle = spot_bundle()
    change_card(bundle, licence="My own: terms #1", metrics={"accuracy": "high", "recall": 5})
    card = open_bundle(bundle).card
    found = metadata(hub_card(card, REPO))
    assert found["license"] == "other"
    assert found["license_name"] == "My own: terms #1"
    assert "model-index" not in found
    assert "How it scored" not in hub_card(card, REPO)


def test_text_on_a_card_cannot_end_the_metadata(tiny_bundle: Path) -> None:
    values = json.loads((tiny_bundle / "model.json").read_text())
    values["name"] = "--- x: [&a *a"
    values["metrics"]["data"] = "'\n---\nlicense: mit"
    card = Card.from_json(json.dumps(values), source="here")
    found = metadata(hub_card(card, REPO))
    assert found["license"] == "apache-2.0"
    assert found["model-index"][0]["name"] == "--- x: [&a *a@1"


LINES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(
    lambda text: text.isprintable() and " ".join(text.split()) == text
)


def shown(page: str) -> list[str]:
    """What a reader of the page sees, piece by piece; nothing but our own markup may be there."""
    seen: list[str] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(page):
        assert token.type not in ("html_block", "bullet_list_open", "ordered_list_open", "hr")
        inner = token.children or []
        assert {x.type for x in inner} <= {
            *("text", "code_inline", "strong_open", "strong_close", "softbreak", "text_special")
        }
        seen.append("".join(x.content for x in inner))
    return seen


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(LINES, min_size=5, max_size=5, unique=True))
@example(texts=["---", "<script>alert(1)</script>", "![x](http://x/y.png)", "a | b", "1. c"])
@example(texts=["# a", "*b* _c_ `d`", "&lt;", "- e", "=== \\| f"])
@example(texts=["> a", "+", "1) b", "[c]: http://d", "~~~ $$e$$"])
def test_whatever_a_card_says_is_shown_letter_by_letter(
    tiny_bundle: Path, texts: list[str]
) -> None:
    card = open_bundle(tiny_bundle).card
    matrix = [[1, 2], [3, texts[4]]]
    odd = dataclasses.replace(
        card,
        name=texts[0],
        description=texts[1],
        limitations=texts[2],
        licence=texts[3],
        classes=(texts[3], texts[4]),
        training={"recipe": {"epochs": texts[0]}, "datasets": [texts[1]]},
        metrics={
            "accuracy": 0.5,
            "data": texts[2],
            "recall": {texts[4]: 0.25},
            "confusion_matrix": matrix,
        },
        probes=None,
        files={"model.onnx": {"sha256": texts[0]}},
    )
    page = hub_card(odd, REPO)
    read = ModelCard(page)
    assert read.data.datasets == [texts[1]]
    assert read.data.eval_results[0].dataset_name == texts[2]
    if read.data.license == "other":
        assert read.data.license_name == texts[3]
    seen = shown(read.text)
    assert f"{texts[0]}@1" in seen
    assert {texts[1], texts[2], texts[4]} <= set(seen)
    assert f"{texts[3]}, {texts[4]}" in seen
    assert f"recall of {texts[4]}" in seen
    assert any(line.endswith(f"Licence: {texts[3]}.") for line in seen)
