"""Pictures of other libraries are read as their files are, and none of those is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from dicoms import content, draw
from tumorlens.errors import UnreadableImageError
from tumorlens.images.limits import Limits
from tumorlens.images.read import open_slices, read_slices
from tumorlens.images.slice import Slice
from tumorlens.images.volume import Volume

GREYS = np.add.outer(np.arange(12) * 20, np.arange(9)).astype(np.int16)
VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def same(found: list[Slice], wanted: list[Slice]) -> None:
    """Two sources gave the same slices, though only one of them may have a name."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert (one.value_range, one.index, one.geometry) == (
            other.value_range,
            other.index,
            other.geometry,
        )
        assert one.path is None


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image, nib.MGHImage])
def test_an_image_of_nibabel_is_read_as_its_file_is(kind: Any) -> None:
    image = kind(VOXELS, np.diag([-2.0, -1.0, 3.0, 1.0]))
    volume = open_slices(image)
    assert isinstance(volume, Volume)
    same(list(volume), read_slices(image.to_bytes()))
    with pytest.raises(UnreadableImageError, match=r"<Nifti1Image>.*more than 19 pixels"):
        read_slices(nib.Nifti1Image(VOXELS, np.eye(4)), limits=Limits(max_pixels=19))


def test_what_is_no_volume_of_nibabels_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match=r"<GiftiImage>: a volume that cannot be read"):
        read_slices(nib.GiftiImage())


@pytest.mark.parametrize("changes", [{}, {"PhotometricInterpretation": "MONOCHROME1"}])
def test_a_data_set_of_pydicom_is_read_as_its_file_is(changes: dict[str, Any]) -> None:
    dataset = draw(GREYS, **changes)
    wanted = read_slices(content(dataset))
    before = dataset.to_json()
    same(read_slices(dataset), wanted)
    del dataset.file_meta  # as somebody makes one in memory
    same(read_slices(dataset), wanted)
    assert dataset.to_json() == before
    assert not hasattr(dataset, "file_meta")


def test_a_compressed_data_set_is_read() -> None:
    dataset = draw(GREYS)
    dataset.compress(RLELossless)
    np.testing.assert_array_equal(read_slices(dataset)[0].pixels, GREYS)
    dataset.PixelData = encapsulate([b"\xff" * 20])
    with pytest.raises(UnreadableImageError, match=r"<bytes>: a DICOM picture that cannot be"):
        read_slices(dataset)


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(UnreadableImageError, match="without a picture"):
        read_slices(Dataset())


class Tensor:
    """What torch's tensors offer, where torch itself is not installed."""

    __module__ = "torch"

    def __init__(self, values: NDArray[Any], dtype: str | None = None) -> None:
        self.values, self.dtype = values, f"torch.{dtype or values.dtype}"

    def float(self) -> Tensor:
        return Tensor(self.values.astype(np.float32))

    def numpy(self, *, force: bool = False) -> NDArray[Any]:
        if not force or self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16\nat some place")
        return self.values


class MetaTensor(Tensor):
    """A type made of it, as MONAI has."""

    __module__ = "monai.data"


@pytest.mark.parametrize("kind", [Tensor, MetaTensor])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_a_tensor_is_read_as_an_array(kind: Any, dtype: str) -> None:
    values = VOXELS.astype(dtype)
    same(read_slices(kind(values)), read_slices(values))


def test_a_tensor_of_a_type_that_numpy_lacks_is_read_or_refused() -> None:
    same(read_slices(Tensor(GREYS, "bfloat16")), read_slices(GREYS.astype(np.float32)))
    broken = Tensor(GREYS)
    broken.numpy = Tensor(GREYS, "bfloat16").numpy  # type: ignore[method-assign]
    with pytest.raises(UnreadableImageError, match="<tensor>: a tensor without plain values"):
        read_slices(broken)


def test_nothing_is_imported_to_look() -> None:
    code = """
import sys, numpy
from tumorlens.images.read import read_slices
try:
    read_slices(object())
except TypeError as error:
    assert "a torch tensor, a nibabel image or a pydicom data set, got object" in str(error)
read_slices(numpy.zeros((4, 4)))
assert not {"torch", "nibabel", "pydicom"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
