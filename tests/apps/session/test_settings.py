"""What is remembered from one day to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tumorlens.apps.session.settings import Settings, read_settings, settings_path, write_settings


def test_settings_are_kept_and_hold_no_names(tmp_path: Path) -> None:
    path = tmp_path / "new" / "window.json"
    write_settings(path, Settings("/scans", "light", 1.5))
    assert read_settings(path) == Settings("/scans", "light", 1.5)
    assert set(Settings.__slots__) == {"folder", "appearance", "scale"}
    assert settings_path().name == "window.json"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000),
        b'{"folder": 3, "appearance": "pink", "scale": "2"}',
        b'{"folder": "a\\u0000b", "scale": NaN}',
        b'{"scale": 99}',
    ],
)
def test_settings_that_make_no_sense_are_as_on_the_first_day(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "window.json").write_bytes(content)
    assert read_settings(tmp_path / "window.json") == Settings()


def test_settings_that_cannot_be_kept_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    write_settings(tmp_path / "file" / "window.json", Settings())
    assert read_settings(tmp_path / "file" / "window.json") == Settings()
