"""Give schemathesis real pictures to send: of what it makes up itself, none is one."""

from __future__ import annotations

import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image

from tumorlens.data.phantom import draw_phantom

KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/tiff": "TIFF"}


def draw(form: str, seed: int) -> bytes:
    """Draw a head in a format."""
    file = io.BytesIO()
    Image.fromarray(draw_phantom("glioma", seed, 64 + seed).pixels).save(file, form)
    return file.getvalue()


for kind, form in KINDS.items():
    whole = st.sampled_from([draw(form, seed) for seed in range(4)])
    spoilt = st.tuples(whole, st.integers(1, 2000)).map(lambda pair: pair[0][: -pair[1]])
    schemathesis.openapi.media_type(kind, st.one_of(whole, spoilt, st.binary()))
