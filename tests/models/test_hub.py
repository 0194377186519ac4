"""Models on the hub: the real client against a local server that speaks the hub's protocol."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

import tumorlens
from hub_server import Hub, serve, use_cache
from tumorlens.errors import MissingExtraError, ModelError, UnsafeModelError
from tumorlens.models import hub as hub_module
from tumorlens.models.hub import cached_models, fetch_bundle
from tumorlens.publish.verify import verify_bundle

REPO = "lab/tiny"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return use_cache(monkeypatch, tmp_path)


@pytest.fixture
def hub(cache: Path) -> Iterator[Hub]:
    del cache
    with serve() as hub:
        yield hub


def contents(bundle: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in bundle.iterdir()}


def test_the_first_load_fetches_what_the_card_names_and_no_more(
    hub: Hub, tiny_bundle: Path, picture: Path
) -> None:
    extra = {"README.md": b"# hello", "run_me.py": b"raise SystemExit", "model.pkl": b"\x80\x04."}
    commit = hub.publish(REPO, {**contents(tiny_bundle), **extra})
    told: list[tuple[str, int, int]] = []
    classifier = tumorlens.load(
        f"hf://{REPO}@main",
        endpoint=hub.url,
        progress=lambda stage, done, total, _note="": told.append((stage, done, total)),
    )
    assert classifier.predict(picture) == tumorlens.load(tiny_bundle).predict(picture)
    assert classifier.place.origin == f"hf://{REPO}@{commit}"
    assert classifier.place.notes == (
        f"hf://{REPO}@main is {commit}; hf://{REPO}@{commit} stays the same for ever",
    )
    assert sorted(p.name for p in classifier.place.folder.iterdir()) == [
        "model.json",
        "model.onnx",
        "weights.safetensors",
    ]
    assert {stage for stage, _, _ in told} >= {"fetching model.onnx (MB)"}
    assert all(0 < done <= total for _, done, total in told)
    assert verify_bundle(f"hf://{REPO}", endpoint=hub.url).passed


def test_the_second_load_needs_no_network(cache: Path, tiny_bundle: Path, picture: Path) -> None:
    with serve() as hub:
        commit = hub.publish_folder(REPO, tiny_bundle)
        first = tumorlens.load(f"hf://{REPO}", endpoint=hub.url)
        asked = len(hub.requests)
        pinned = tumorlens.load(f"hf://{REPO}@{commit}", endpoint=hub.url)
        assert len(hub.requests) == asked  # a commit that is cached is not asked for
        assert pinned.place.notes == ()
    for reference in (f"hf://{REPO}", f"hf://{REPO}@main", f"hf://{REPO}@{commit}"):
        for offline in (False, True):
            again = tumorlens.load(reference, endpoint=hub.url, offline=offline)
            assert again.place.origin == first.place.origin
            assert again.predict(picture) == first.predict(picture)
    assert str(first.place.folder).startswith(str(cache))


def test_each_file_is_fetched_once(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    for _ in range(2):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    assert len(hub.ranges) == 2  # the two large files


def test_a_broken_transfer_is_resumed(
    hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # it goes on from whole chunks
    hub.publish_folder(REPO, tiny_bundle)
    hub.break_after = 10_000
    place = fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    assert contents(place.folder) == contents(tiny_bundle)
    assert hub.ranges[:2] == [None, "bytes=10000-"]


def test_a_file_that_is_not_the_card_s_is_refused_and_not_kept(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    hub.corrupt = True
    with pytest.raises(ModelError, match=r"model\.onnx is not the file its card describes"):
        tumorlens.load(f"hf://{REPO}", endpoint=hub.url)
    hub.corrupt = False
    assert tumorlens.load(f"hf://{REPO}", endpoint=hub.url).card.name == "tiny-float"


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors", "model.json"])
@pytest.mark.parametrize("damage", ["emptied", "cut", "one bit"])
def test_a_file_that_was_damaged_in_the_cache_is_fetched_again_once(
    hub: Hub, tiny_bundle: Path, name: str, damage: str
) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    place = fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    path, whole = place.folder / name, (tiny_bundle / name).read_bytes()
    where = 0 if name == "model.json" else -1  # another letter in a sentence would be a card too
    bit = bytearray(whole)
    bit[where] ^= 1
    spoilt = {"emptied": b"", "cut": whole[: len(whole) // 2], "one bit": bytes(bit)}[damage]
    path.resolve().write_bytes(spoilt)
    with pytest.raises(ModelError, match=r"is damaged in the cache|is not a usable model card"):
        fetch_bundle(place.origin, endpoint=hub.url, offline=True)
    asked = len(hub.ranges)
    again = tumorlens.load(place.origin, endpoint=hub.url)
    assert again.place.folder == place.folder
    assert contents(place.folder) == contents(tiny_bundle)
    assert len(hub.ranges) - asked == (name != "model.json")
    tumorlens.load(place.origin, endpoint=hub.url, offline=True)


def test_what_stays_damaged_is_refused(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    place = fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    (place.folder / "model.onnx").resolve().write_bytes(b"")
    hub.corrupt = True
    with pytest.raises(ModelError, match=r"model\.onnx is not the file .* was thrown away"):
        fetch_bundle(place.origin, endpoint=hub.url)
    assert not (place.folder / "model.onnx").exists()


def test_a_repository_whose_card_lies_is_refused(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish(REPO, {**contents(tiny_bundle), "weights.safetensors": b"something else"})
    for _ in range(2):
        with pytest.raises(ModelError, match=r"weights\.safetensors is not the file"):
            tumorlens.load(f"hf://{REPO}", endpoint=hub.url)


def test_a_branch_that_moved_is_noticed(
    hub: Hub, tiny_bundle: Path, tiny_bundle_int8: Path
) -> None:
    old = hub.publish_folder(REPO, tiny_bundle)
    tumorlens.load(f"hf://{REPO}", endpoint=hub.url)
    new = hub.publish_folder(REPO, tiny_bundle_int8)
    place = tumorlens.load(f"hf://{REPO}", endpoint=hub.url).place
    assert place.origin == f"hf://{REPO}@{new}"
    assert contents(place.folder) == contents(tiny_bundle_int8)  # the weights are the old ones
    assert place.notes[0] == f"hf://{REPO}@main has moved since it was last fetched, from {old}"
    pinned = tumorlens.load(f"hf://{REPO}@{old}", endpoint=hub.url)
    assert pinned.card.name == "tiny-float"


def test_a_tag_is_resolved_too(hub: Hub, tiny_bundle: Path) -> None:
    commit = hub.publish_folder(REPO, tiny_bundle, ref="v1")
    place = fetch_bundle(f"hf://{REPO}@v1", endpoint=hub.url)
    assert place.origin == f"hf://{REPO}@{commit}"
    assert place.notes[0].startswith(f"hf://{REPO}@v1 is {commit}")


def test_a_private_repository_is_explained_and_opens_with_a_token(
    hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.publish_folder(REPO, tiny_bundle)
    hub.private.add(REPO)
    for reference in (f"hf://{REPO}", f"hf://{REPO}@{commit}", "hf://lab/nothing"):
        with pytest.raises(ModelError, match=r"or it is private.*\(401\).*hf auth login"):
            fetch_bundle(reference, endpoint=hub.url)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert fetch_bundle(f"hf://{REPO}", endpoint=hub.url).origin.endswith(commit)


def test_a_gated_repository_is_explained(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    hub.gated.add(REPO)
    with pytest.raises(ModelError, match="wants its terms accepted first"):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)


def test_what_is_not_there_is_explained(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    with pytest.raises(ModelError, match="no such branch, tag or commit"):
        fetch_bundle(f"hf://{REPO}@v9", endpoint=hub.url)
    hub.publish("lab/other", {"config.json": b"{}"})
    with pytest.raises(ModelError, match="is no tumorlens bundle: a file is missing there"):
        fetch_bundle("hf://lab/other", endpoint=hub.url)
    files = contents(tiny_bundle)
    del files["model.onnx"]
    hub.publish("lab/half", files)
    with pytest.raises(ModelError, match="is no tumorlens bundle: a file is missing there"):
        fetch_bundle("hf://lab/half", endpoint=hub.url)


@pytest.mark.parametrize(
    ("revision", "offline"), [("main", True), ("main", False), ("0" * 40, True)]
)
def test_nothing_cached_and_no_network_is_explained(
    cache: Path, revision: str, offline: bool
) -> None:
    del cache
    with serve() as hub:
        gone = hub.url
    with pytest.raises(ModelError, match="is not in the cache and the hub cannot be reached"):
        fetch_bundle(f"hf://{REPO}@{revision}", endpoint=gone, offline=offline)


def test_a_hub_that_is_out_of_order_is_explained(hub: Hub, tiny_bundle: Path) -> None:
    commit = hub.publish_folder(REPO, tiny_bundle)
    hub.status = 403
    for revision in ("main", commit):
        with pytest.raises(ModelError, match=r"cannot be fetched: .*403"):
            fetch_bundle(f"hf://{REPO}@{revision}", endpoint=hub.url)


def spoilt(bundle: Path, **fields: object) -> dict[str, bytes]:
    files = contents(bundle)
    card = json.loads(files["model.json"])
    return {**files, "model.json": json.dumps({**card, **fields}).encode()}


@pytest.mark.parametrize("name", ["model.pkl", "code.py", "model.keras", "weights.h5", "x.tar.gz"])
def test_a_card_that_names_what_no_bundle_holds_is_refused(
    hub: Hub, tiny_bundle: Path, name: str
) -> None:
    files = json.loads((tiny_bundle / "model.json").read_text())["files"]
    content = spoilt(tiny_bundle, files={**files, name: {"bytes": 1}})
    hub.publish(REPO, {**content, name: b"x"})
    with pytest.raises(UnsafeModelError, match=f"belong in no bundle: {name}"):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    assert not any(name in request for request in hub.requests)


@pytest.mark.parametrize("name", ["../evil.onnx", "/etc/passwd", "a/b.onnx", "..\\evil.onnx"])
def test_a_card_that_names_files_elsewhere_is_refused(
    hub: Hub, tiny_bundle: Path, name: str
) -> None:
    hub.publish(REPO, spoilt(tiny_bundle, files={name: {"bytes": 1}}))
    with pytest.raises(ModelError, match="`files` must be names without folders"):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)


def test_a_card_that_names_too_many_files_is_refused(hub: Hub, tiny_bundle: Path) -> None:
    many = {f"part{i}.onnx": {"bytes": 1} for i in range(99)}
    hub.publish(REPO, spoilt(tiny_bundle, files=many))
    with pytest.raises(UnsafeModelError, match="belong in no bundle: 99 of them"):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    hub.publish(REPO, spoilt(tiny_bundle, files={}))
    with pytest.raises(ModelError, match=r"names no model\.onnx"):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)


def test_a_file_that_is_too_large_is_not_fetched(
    hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    monkeypatch.setattr(hub_module, "LARGEST_FILE", 2**20 // 64)
    with pytest.raises(ModelError, match=r"model\.onnx is larger than"):
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    assert hub.ranges == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_is_explained(
    hub: Hub, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    hub.publish_folder(REPO, tiny_bundle)
    monkeypatch.setattr("huggingface_hub.HfApi.hf_hub_download", fail)
    with pytest.raises(ModelError, match=r"cannot be kept: .*HF_HUB_CACHE") as refused:
        fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    assert os.strerror(number) in str(refused.value)


@pytest.mark.parametrize(
    "reference",
    [
        "hf://",
        "hf://lab",
        "hf://lab/tiny/more",
        "hf://lab/tiny@",
        "hf://lab/../tiny",
        "hf://lab/tiny@../../x",
        "hf://lab/tiny@a b",
        "hf://.hidden/tiny",
        "hf://lab/ti\nny",
        "hf://lab/.git",
        "hf://lab/tiny.git",
        "hf://lab/ti--ny",
        "hf://lab/ti..ny",
        "hf://lab/tiny-",
        "hf://lab/tïny",
        "hf://lab/" + "x" * 97,
        "hf://lab/" + "x" * 97 + "@main",
        "HF://lab/--",
    ],
    ids=ascii,
)
def test_odd_references_are_refused_before_anything_is_asked(hub: Hub, reference: str) -> None:
    with pytest.raises(ModelError, match=r"names no (model|repository) on the hub") as caught:
        fetch_bundle(reference, endpoint=hub.url)
    assert "try again" not in str(caught.value)
    assert hub.requests == []


def test_the_scheme_may_be_written_large(hub: Hub, tiny_bundle: Path) -> None:
    commit = hub.publish_folder(REPO, tiny_bundle)
    place = tumorlens.load(f"HF://{REPO}@main", endpoint=hub.url).place
    assert place.origin == f"hf://{REPO}@{commit}"


def test_a_path_object_means_the_same(hub: Hub, tiny_bundle: Path) -> None:
    hub.publish_folder(REPO, tiny_bundle)
    loaded = tumorlens.load(Path(f"hf://{REPO}"), endpoint=hub.url)
    assert loaded.card.name == "tiny-float"


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"tumorlens\[hub\]"):
        tumorlens.load("hf://lab/tiny")
    with pytest.raises(MissingExtraError, match=r"tumorlens\[hub\]"):
        cached_models()


def test_what_is_cached_is_listed(
    hub: Hub, cache: Path, tiny_bundle: Path, tiny_bundle_int8: Path
) -> None:
    assert cached_models() == []
    old = hub.publish_folder(REPO, tiny_bundle)
    fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    new = hub.publish_folder(REPO, tiny_bundle_int8)
    fetch_bundle(f"hf://{REPO}", endpoint=hub.url)
    other = cache / "models--other--thing" / "snapshots" / ("1" * 40)
    other.mkdir(parents=True)
    for name in ("model.json", "model.onnx"):
        (other / name).write_text("{}")
    found = {cached.reference: cached for cached in cached_models()}
    assert set(found) == {f"hf://{REPO}@{old}", f"hf://{REPO}@{new}"}
    assert found[f"hf://{REPO}@{new}"].names == ("main",)
    assert found[f"hf://{REPO}@{old}"].names == ()
    assert found[f"hf://{REPO}@{new}"].card.name == "tiny-int8"


LOAD = """
import sys, tumorlens
classifier = tumorlens.load(sys.argv[1])
print(classifier.place.origin)
"""


def outside(reference: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k}
    return subprocess.run(
        [sys.executable, "-c", LOAD, reference],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_client_s_own_settings_are_honoured(tiny_bundle: Path, tmp_path: Path) -> None:
    """HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE, in processes of their own."""
    with serve() as hub:
        commit = hub.publish_folder(REPO, tiny_bundle)
        home = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
        first = outside(f"hf://{REPO}", **home)
        assert first.stdout.strip() == f"hf://{REPO}@{commit}", first.stderr
        asked = len(hub.requests)
        second = outside(f"hf://{REPO}", **home, HF_HUB_OFFLINE="1")
        assert second.stdout == first.stdout, second.stderr
        assert len(hub.requests) == asked
    assert (tmp_path / "home" / "hub" / "models--lab--tiny").is_dir()


def test_the_head_is_that_of_the_bundle(hub: Hub, spot_bundle: Callable[..., Path]) -> None:
    hub.publish_folder("lab/spot", spot_bundle((2.0, -1.0)))
    head = tumorlens.load("hf://lab/spot", endpoint=hub.url).head
    np.testing.assert_array_equal(head.layers[0][0], [[2.0, -1.0]])
