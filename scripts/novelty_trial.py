"""What a model refuses, and what it wrongly refuses: pictures that are no slices, by kind.

    python scripts/novelty_trial.py MANIFEST --fold 4 --model BUNDLE
    python scripts/novelty_trial.py MANIFEST --fold 4 --fit 1 --model BUNDLE   # compare scores

Prints the accepted share of the valid slices of the folds, and the rejected share of every
kind of picture that is none: photographs, drawings, text, noise, gradients, scrambled slices,
noise with a slice's histogram or spectrum, other organs. The pictures are drawn here, made of
the valid slices, or come with whatever of scikit-learn, Matplotlib, scikit-image, pydicom and
pygame is installed; more can be named with --pictures KIND=FOLDER.

With --fit the scores that could be used are fitted on those folds and compared on the others,
each with its threshold at 99 % of the fitted slices, every slice judged without its own group.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors

from tumorlens.apps.cli.meter import Meter
from tumorlens.classifier import load
from tumorlens.data.manifest import read_manifest
from tumorlens.images.read import read_slices
from tumorlens.models.session import Session
from tumorlens.models.store import open_bundle
from tumorlens.trust.novelty import fit_novelty

Picture = Image.Image
WORDS = ("the", "patient", "was", "seen", "after", "contrast", "no", "change", "mass", "report")
ORGANS = ("cell", "ihc", "retina", "microaneurysms")  # of scikit-image: tissue, and no head


@dataclass(frozen=True, slots=True)
class Looked:
    """What a network made of some pictures: pooled features and logits."""

    vectors: NDArray[np.float32]
    logits: NDArray[np.float32]

    def part(self, rows: NDArray[np.int64]) -> Looked:
        """Take some of them."""
        return Looked(self.vectors[rows], self.logits[rows])


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("--model")
    parser.add_argument("--fold", type=int, action="append", required=True)
    parser.add_argument("--fit", type=int, action="append", default=[])
    parser.add_argument("--pictures", action="append", default=[], metavar="KIND=FOLDER")
    parser.add_argument("--count", type=int, default=60, help="Drawn pictures of each kind.")
    parser.add_argument("--at-most", type=int, default=1500, help="Valid slices.")
    parser.add_argument("--save", help="Put one picture of each kind into this folder.")
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    random = np.random.default_rng(0)
    entries = [e for e in manifest.counted if e.fold in options.fold]
    entries = [entries[i] for i in random.permutation(len(entries))[: options.at_most]]
    valid = [manifest.root / e.path for e in entries]
    kinds = make_kinds(valid, options.count, options.pictures)
    if options.save:
        save_examples(kinds, Path(options.save))
    if options.fit:
        fitted = [e for e in manifest.counted if e.fold in options.fit]
        compare_scores(options.model, manifest.root, fitted, valid, kinds)
        return
    classifier = load(options.model)
    meter = Meter()

    def refused(pictures: Iterable[Any], total: int) -> list[bool]:
        found = []
        for answer in classifier.predict_batch(pictures):
            found.append(not answer.assessable)
            meter("classifying", len(found), total)
        return found

    lost = refused(valid, len(valid))
    print(f"{'valid slices accepted':<42}{1 - np.mean(lost):7.1%}  of {len(lost)}")
    shares = []
    for kind, pictures in kinds.items():
        caught = refused(pictures, len(pictures))
        shares.append(float(np.mean(caught)))
        print(f"{kind + ' rejected':<42}{shares[-1]:7.1%}  of {len(caught)}")
    print(f"{'mean over kinds':<42}{np.mean(shares):7.1%}")


def make_kinds(valid: list[Path], count: int, named: list[str]) -> dict[str, list[Picture]]:
    """Make or find the pictures of every kind."""
    slices = [Image.open(path).convert("L") for path in valid[:count]]
    draw: dict[str, Callable[[int], Picture]] = {
        "text pages": draw_page,
        "text, white on black": lambda i: Image.eval(draw_page(i + 9000), lambda v: 255 - v),
        "charts": draw_chart,
        "noise": draw_noise,
        "smooth noise": draw_smooth,
        "gradients and stripes": draw_gradient,
        "shapes": draw_shapes,
        "scrambled slices, 3 x 3 tiles": lambda i: scramble(slices[i % len(slices)], 3, i),
        "scrambled slices, 8 x 8 tiles": lambda i: scramble(slices[i % len(slices)], 8, i),
        "pixels shuffled": lambda i: shuffle(slices[i % len(slices)], i),
        "noise with a slice's histogram": lambda i: match(slices[i % len(slices)], i),
        "noise with a slice's spectrum": lambda i: rephase(slices[i % len(slices)], i),
    }
    kinds = {kind: [maker(i) for i in range(count)] for kind, maker in draw.items()}
    photos = list(photographs())
    if photos:
        whole = [photo for photo in photos for photo in (photo, *cut(photo))]
        kinds["photographs, colour"] = whole
        kinds["photographs, grey"] = [photo.convert("L") for photo in whole]
    for kind, found in (("drawings and icons", drawings()), ("other organs", other_organs())):
        if pictures := list(found):
            kinds[kind] = pictures
    for pair in named:
        kind, _, folder = pair.partition("=")
        kinds[kind] = [Image.open(path) for path in sorted(Path(folder).iterdir())]
    return kinds


def photographs() -> Iterator[Picture]:
    """Open the photographs that come with installed packages."""
    yield from files_of("sklearn", "datasets/images", "*.jpg")
    yield from files_of("matplotlib", "mpl-data/sample_data", "*.jpg")
    no_photo = (*ORGANS, "chessboard", "color", "horse", "logo", "page", "phantom", "text", "lfw")
    yield from files_of("skimage", "data", "*.*g", without=no_photo)
    yield from files_of("pygame", "examples/data", "*.jpg")


def drawings() -> Iterator[Picture]:
    """Open the drawings that come with installed packages, and Python's own icons."""
    yield from files_of("matplotlib", "mpl-data/sample_data", "*.png")
    yield from files_of("matplotlib", "mpl-data/images", "*_large.png")
    yield from files_of("idlelib", "Icons", "*.png")
    yield from files_of("pygame", "examples/data", "*.[pbg][nmi][gpf]")
    yield from files_of("pygame", "docs/generated/_images", "*.*")
    for name in ("color", "horse", "logo", "page", "text", "chessboard"):
        yield from files_of("skimage", "data", f"{name}*.png")


def other_organs() -> Iterator[Picture]:
    """Open the medical pictures of installed packages that show no head."""
    for name in ORGANS:
        for picture in files_of("skimage", "data", f"{name}.*g"):
            yield picture
            yield from cut(picture)
    yield from dicom_pictures()
    for i in range(40):
        yield draw_body(i)


def dicom_pictures() -> Iterator[Picture]:
    """Open pydicom's test pictures of bodies that need no further decoder."""
    if not (folder := folder_of("pydicom", "data/test_files")):
        return
    import pydicom  # noqa: PLC0415

    names = ("CT_small", "eCT_Supplemental", "examples_ybr_color", "examples_rgb_color")
    for path in sorted(folder.rglob("*.dcm")):
        if path.stem not in names:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = np.asarray(pydicom.dcmread(path).pixel_array, dtype=np.float32)
        frames = pixels[None] if pixels.ndim == 2 else pixels[:6]
        for frame in frames if frames.shape[-1] != 3 or frames.ndim == 4 else [pixels]:
            grey = frame.mean(axis=-1) if frame.shape[-1] == 3 else frame
            yield to_picture(grey)


def files_of(
    package: str, below: str, pattern: str, without: tuple[str, ...] = ()
) -> Iterator[Picture]:
    """Open pictures of an installed package, none when it is not there."""
    if folder := folder_of(package, below):
        for path in sorted(folder.glob(pattern)):
            if not path.stem.startswith(without or "\0"):
                yield Image.open(path)


def folder_of(package: str, below: str) -> Path | None:
    """Find a folder of an installed package."""
    found = importlib.util.find_spec(package)
    folder = Path(found.origin).parent / below if found and found.origin else None
    return folder if folder and folder.is_dir() else None


def cut(picture: Picture, pieces: int = 4) -> Iterator[Picture]:
    """Cut a picture into quarters."""
    width, height = picture.width // 2, picture.height // 2
    for i in range(pieces):
        x, y = i % 2 * width, i // 2 * height
        yield picture.crop((x, y, x + width, y + height))


def draw_page(seed: int) -> Picture:
    """Draw a page of words."""
    random = np.random.default_rng((seed, 1))
    page = Image.new("L", (int(random.integers(300, 700)), int(random.integers(300, 900))), 255)
    pen, size, y = ImageDraw.Draw(page), int(random.integers(9, 40)), 20
    while y < page.height - size:
        line = " ".join(random.choice(WORDS, 12))[: int(random.integers(10, 70))]
        pen.text((20, y), line, fill=0, font=ImageFont.load_default(size))
        y += int(1.4 * size)
    return page


def draw_chart(seed: int) -> Picture:
    """Draw a chart with Matplotlib, on paper or on a dark ground."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    random = np.random.default_rng((seed, 2))
    figure = Figure(figsize=(4, 3), facecolor="black" if seed % 2 else "white")
    axes = figure.subplots()
    if seed % 3 == 0:
        axes.plot(random.normal(size=(40, 3)).cumsum(axis=0))
    elif seed % 3 == 1:
        axes.bar(range(8), random.random(8))
    else:
        axes.pie(random.random(5) + 0.1)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def draw_noise(seed: int) -> Picture:
    """Draw noise that knows no neighbours."""
    random = np.random.default_rng((seed, 3))
    side = int(random.integers(100, 500))
    if seed % 3 == 0:
        return to_picture(random.random((side, side)))
    if seed % 3 == 1:
        return to_picture(np.abs(random.normal(size=(side, side))))
    return to_picture((random.random((side, side)) > 0.9).astype(float))


def draw_smooth(seed: int) -> Picture:
    """Draw clouds: noise whose power falls with frequency."""
    return to_picture(clouds(300, 0.5 + (seed % 6) / 2, seed))


def clouds(side: int, slope: float, seed: int) -> NDArray[np.float64]:
    """Make noise of amplitude f^-slope."""
    random = np.random.default_rng((seed, 4))
    y, x = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    falling = np.maximum(np.hypot(y, x), 1 / side) ** -slope
    return np.real(np.fft.ifft2(falling * np.fft.fft2(random.normal(size=(side, side)))))


def draw_gradient(seed: int) -> Picture:
    """Draw gradients, stripes and boards."""
    random = np.random.default_rng((seed, 5))
    y, x = np.mgrid[0:256, 0:256] / 256
    angle = random.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    waves = random.uniform(1, 12)
    kinds = (
        along,
        np.hypot(x - random.random(), y - random.random()),
        np.sin(2 * np.pi * waves * along),
        np.sign(np.sin(2 * np.pi * waves * x) * np.sin(2 * np.pi * waves * y)),
    )
    return to_picture(kinds[seed % 4])


def draw_shapes(seed: int) -> Picture:
    """Draw bright shapes on black."""
    random = np.random.default_rng((seed, 6))
    picture = Image.new("L", (256, 256))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(1, 7))):
        x0, x1 = sorted(random.integers(0, 256, 2).tolist())
        y0, y1 = sorted(random.integers(0, 256, 2).tolist())
        shape = (pen.rectangle, pen.ellipse, pen.line)[int(random.integers(3))]
        shape((x0, y0, x1 + 2, y1 + 2), fill=int(random.integers(60, 256)))
    return picture


def draw_body(seed: int) -> Picture:
    """Draw a section of a trunk or of two limbs, as a CT shows them, in a few strokes."""
    random = np.random.default_rng((seed, 7))
    picture = Image.new("L", (320, 320))
    pen = ImageDraw.Draw(picture)

    def oval(x: float, y: float, a: float, b: float, grey: int) -> None:
        pen.ellipse((x - a, y - b, x + a, y + b), fill=grey)

    if seed % 2:  # two legs with their bones
        for x in (95, 225):
            oval(x, 160, 55 + random.integers(10), 60 + random.integers(12), 90)
            oval(x, 155, 16 + random.integers(8), 16 + random.integers(8), 240)
    else:  # a chest: lungs, heart, spine, ribs
        oval(160, 160, 140 + random.integers(12), 95 + random.integers(20), 110)
        for x in (95, 225):
            oval(x, 150, 48 + random.integers(8), 60 + random.integers(10), 15)
        oval(150, 150, 38 + random.integers(10), 35 + random.integers(10), 150)
        oval(160, 220, 22, 20, 240)
    rough = np.asarray(picture, float) * (1 + 0.1 * random.normal(size=(320, 320)))
    return Image.fromarray(np.clip(rough, 0, 255).astype(np.uint8))


def scramble(picture: Picture, tiles: int, seed: int) -> Picture:
    """Cut the head out and shuffle its tiles."""
    random = np.random.default_rng((seed, 8))
    side = picture.width // tiles, picture.height // tiles
    whole = Image.new("L", (side[0] * tiles, side[1] * tiles))
    for i, j in enumerate(random.permutation(tiles * tiles).tolist()):
        x, y = j % tiles * side[0], j // tiles * side[1]
        tile = picture.crop((x, y, x + side[0], y + side[1]))
        whole.paste(tile, (i % tiles * side[0], i // tiles * side[1]))
    return whole


def shuffle(picture: Picture, seed: int) -> Picture:
    """Shuffle all pixels."""
    pixels = np.asarray(picture)
    shuffled = np.random.default_rng((seed, 9)).permutation(pixels.ravel())
    return Image.fromarray(shuffled.reshape(pixels.shape))


def match(picture: Picture, seed: int) -> Picture:
    """Give clouds the grey values of a slice."""
    pixels = np.asarray(picture.resize((256, 256)))
    order = np.argsort(clouds(256, 1 + seed % 3 / 2, seed).ravel())
    values = np.empty(pixels.size, np.uint8)
    values[order] = np.sort(pixels.ravel())
    return Image.fromarray(values.reshape(pixels.shape))


def rephase(picture: Picture, seed: int) -> Picture:
    """Keep the strength of a slice's frequencies and draw their phases anew."""
    pixels = np.asarray(picture.resize((256, 256)), float)
    noise = np.random.default_rng((seed, 10)).normal(size=pixels.shape)
    phases = np.exp(1j * np.angle(np.fft.fft2(noise)))
    return to_picture(np.real(np.fft.ifft2(np.abs(np.fft.fft2(pixels)) * phases)))


def to_picture(values: NDArray[Any]) -> Picture:
    """Spread values over the grey scale."""
    low, high = np.percentile(values, (0.5, 99.5))
    scaled = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return Image.fromarray((255 * scaled).astype(np.uint8))


def save_examples(kinds: dict[str, list[Picture]], folder: Path) -> None:
    """Lay some pictures of each kind side by side, to be looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, pictures in kinds.items():
        sheet = Image.new("L", (8 * 128, 128))
        for i, picture in enumerate(pictures[:: max(1, len(pictures) // 8)][:8]):
            sheet.paste(picture.convert("RGB").convert("L").resize((124, 124)), (i * 128, 2))
        sheet.save(folder / f"{kind.replace(' ', '-').replace(',', '')}.png")


def look(session: Session, pictures: Iterable[Any], total: int) -> Looked:
    """Run the network alone and keep what scores are made of."""
    meter, parts = Meter(), []
    for i, picture in enumerate(pictures):
        read = read_slices(picture)[0]
        prepared = session.card.input.prepare(read)
        logits, _, vectors = session.logits_features_and_vectors(prepared.pixels[None])
        parts.append((vectors[0], logits[0]))
        meter("looking", i + 1, total)
    vectors, rows = zip(*parts, strict=True)
    return Looked(np.array(vectors), np.array(rows))


def compare_scores(
    model: str | None,
    root: Path,
    fitted: list[Any],
    valid: list[Path],
    kinds: dict[str, list[Picture]],
) -> None:
    """Print the table of scores against kinds; the picture check is left out of it."""
    session = Session(open_bundle(model))
    known = look(session, [root / e.path for e in fitted], len(fitted))
    groups = [e.group for e in fitted]
    unseen = look(session, valid, len(valid))
    strange = {kind: look(session, found, len(found)) for kind, found in kinds.items()}
    scores = {
        "residual": Residual,
        "neighbours": Neighbours,
        "Mahalanobis": Mahalanobis,
        "ViM": Vim,
        "energy": Energy,
    }
    rows: dict[str, list[float]] = {}
    for name, score in scores.items():
        held_out = np.empty(len(groups))
        for others, these in GroupKFold(5).split(groups, groups=groups):
            held_out[these] = score(known.part(others)).of(known.part(these))
        limit = float(np.quantile(held_out, 0.99, method="higher"))
        fitted_score = score(known)
        rejected = [float(np.mean(fitted_score.of(x) > limit)) for x in strange.values()]
        rows[name] = [float(np.mean(fitted_score.of(unseen) <= limit)), *rejected]
    print(f"{'':<42}" + "".join(f"{name:>13}" for name in rows))
    for i, kind in enumerate(["valid slices accepted", *(f"{kind} rejected" for kind in kinds)]):
        print(f"{kind:<42}"[:42] + "".join(f"{row[i]:13.1%}" for row in rows.values()))
    print(f"{'mean over kinds':<42}" + "".join(f"{np.mean(r[1:]):13.1%}" for r in rows.values()))


def length_one(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


class Residual:
    """The package's own score: distance from the plane of known slices."""

    def __init__(self, known: Looked) -> None:
        self.novelty, _ = fit_novelty(known.vectors, [""] * len(known.vectors))

    def of(self, found: Looked) -> NDArray[Any]:
        """Score pictures; more is stranger."""
        return self.novelty.score(found.vectors)


class Neighbours:
    """Distance to the fifth of 1,000 known slices, within 64 principal components.

    Y. Sun et al., "Out-of-Distribution Detection with Deep Nearest Neighbors" (ICML 2022).
    """

    def __init__(self, known: Looked) -> None:
        vectors = length_one(known.vectors)
        self.pca = PCA(64, random_state=0).fit(vectors)
        chosen = np.random.default_rng(0).permutation(len(vectors))[:1000]
        self.bank = NearestNeighbors(n_neighbors=5).fit(self.pca.transform(vectors[chosen]))

    def of(self, found: Looked) -> NDArray[Any]:
        """Score pictures; more is stranger."""
        places = self.pca.transform(length_one(found.vectors))
        return np.asarray(self.bank.kneighbors(places)[0][:, -1])


class Mahalanobis:
    """Distance from the nearest predicted class, within 64 principal components.

    K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks" (NeurIPS 2018), with the covariance of Ledoit and Wolf.
    """

    def __init__(self, known: Looked) -> None:
        vectors, said = length_one(known.vectors), known.logits.argmax(axis=1)
        self.pca = PCA(64, random_state=0).fit(vectors)
        places = self.pca.transform(vectors)
        self.means = {c: places[said == c].mean(axis=0) for c in np.unique(said).tolist()}
        centred = places - np.stack([self.means[c] for c in said.tolist()])
        self.shape = LedoitWolf(assume_centered=True).fit(centred)

    def of(self, found: Looked) -> NDArray[Any]:
        """Score pictures; more is stranger."""
        places = self.pca.transform(length_one(found.vectors))
        each = [self.shape.mahalanobis(places - mean) for mean in self.means.values()]
        return np.asarray(np.min(each, axis=0))


class Vim:
    """The whole of ViM: the residual of unscaled features against the energy of the logits."""

    def __init__(self, known: Looked) -> None:
        self.pca = PCA(64, random_state=0).fit(known.vectors)
        self.scale = known.logits.max(axis=1).mean() / self.rest(known).mean()

    def rest(self, found: Looked) -> NDArray[Any]:
        """Measure the distance from the plane."""
        back = self.pca.inverse_transform(self.pca.transform(found.vectors))
        return np.asarray(np.linalg.norm(found.vectors - back, axis=1))

    def of(self, found: Looked) -> NDArray[Any]:
        """Score pictures; more is stranger."""
        return np.asarray(self.scale * self.rest(found) - logsumexp(found.logits, axis=1))


class Energy:
    """W. Liu et al., "Energy-based Out-of-distribution Detection" (NeurIPS 2020)."""

    def __init__(self, known: Looked) -> None:
        del known  # nothing is fitted

    def of(self, found: Looked) -> NDArray[Any]:
        """Score pictures; more is stranger."""
        return np.asarray(-logsumexp(found.logits, axis=1))


if __name__ == "__main__":
    main()
