"""Many files cost the memory of a few: nothing of a picture is kept once it is answered."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tumorlens.classifier import load
from tumorlens.explain import scan


def test_what_the_network_saw_is_not_kept(
    tmp_path: Path, spot_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for i in range(40):
        stream = io.BytesIO()
        Image.fromarray(np.add.outer(np.arange(80), np.arange(64) + i).astype(np.uint8)).save(
            stream, "PNG"
        )
        path = tmp_path / f"{i}.png"
        path.write_bytes(stream.getvalue())
        paths.append(str(path))
    seen: list[Any] = []
    answer = scan.answer_units

    def watched(*arguments: Any, **options: Any) -> Any:
        for item in answer(*arguments, **options):
            seen.append(weakref.ref(item[1].pixels))  # type: ignore[index]
            yield item

    monkeypatch.setattr(scan, "answer_units", watched)
    results = scan.predict_scans(load(spot_bundle(), threads=1), paths, batch_size=4)
    for _ in range(36):
        next(results)
    gc.collect()
    assert sum(one() is not None for one in seen) < 12
