"""The case report as a PDF, by ReportLab: the same parts as the page, laid out on A4."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from tumorlens.extras import require
from tumorlens.prediction import say_percent
from tumorlens.records import PDF_CREATOR
from tumorlens.report.case_fonts import BOLD, REGULAR, Fonts
from tumorlens.report.style import COLOURS, FAINT, INK

if TYPE_CHECKING:
    from tumorlens.report.case_entries import Bar, Entry, Share, View

__all__ = ["draw_pdf"]

_BLUE, _ORANGE = COLOURS[:2]
_LINE: Final = "#d6dae0"
_MM: Final = 72 / 25.4
_PAGE: Final = (210 * _MM, 297 * _MM)  # A4
_MARGIN: Final = 18 * _MM
_PADDING: Final = 6.0  # that ReportLab adds to margins
_WIDTH: Final = _PAGE[0] - 2 * _MARGIN
_PICTURES: Final = 0.62 * _WIDTH  # of it, for a slice and its map; the answer has the rest
_GAP: Final = 2 * _MM  # between a slice and its map
_GUTTER: Final = 5 * _MM  # between columns
_HIGHEST: Final = 62 * _MM  # of a picture
_FONT: Final = ("FONTNAME", (0, 0), (-1, -1), REGULAR)  # or tables ask for one that is not inside
_DRAWING: Final = threading.Lock()  # ReportLab keeps fonts and settings for the whole process


def draw_pdf(parts: Mapping[str, Any]) -> bytes:
    """Lay a report out.

    Parameters
    ----------
    parts
        As `tumorlens.report.case.make_case` puts them together.

    Raises
    ------
    MissingExtraError
        When ReportLab, or Matplotlib with its font, is not installed.
    """
    with _DRAWING:
        return _Pdf(parts).draw()


def _lab(part: str) -> Any:
    return require(f"reportlab.{part}", "a report as PDF", "report")


@cache
def _style(name: str, size: float, bold: bool = False, colour: str = INK, **more: Any) -> Any:  # noqa: FBT001, FBT002
    font = BOLD if bold else REGULAR
    return _lab("lib.styles").ParagraphStyle(
        name,
        fontName=font,
        bulletFontName=font,
        fontSize=size,
        leading=1.4 * size,
        textColor=colour,
        **more,
    )


class _Pdf:
    """One report on its way to paper."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = parts
        self._fonts = Fonts()
        self._flow = _lab("platypus")

    def draw(self) -> bytes:
        parts, file = self._parts, io.BytesIO()
        document = self._flow.SimpleDocTemplate(
            file,
            pagesize=_PAGE,
            leftMargin=_MARGIN - _PADDING,
            rightMargin=_MARGIN - _PADDING,
            topMargin=_MARGIN,
            bottomMargin=_MARGIN + 6 * _MM,
            title=parts["title"],
            author=parts["model"],
            subject="Research use only: not a medical device",
            creator=PDF_CREATOR,
            lang="en",
        )
        story = [*self._head(), *self._glance()]
        for number, entry in enumerate(parts["entries"], 1):
            story += self._entry(number, entry)
        story += self._end()
        document.build(story, canvasmaker=self._canvas())
        return file.getvalue()

    # Texts

    def _text(self, text: str, style: Any, link: str | None = None) -> Any:
        """Set a text; nothing in it is markup, whoever wrote it."""
        marked = self._fonts.marked(text)
        if "<font" in marked:  # a word in several fonts is broken at no other place than anywhere
            style = style.clone(f"{style.name}-any", wordWrap="CJK")
        if link is not None:
            marked = f'<a href="#{link}" color="{_BLUE}">{marked}</a>'
        return self._flow.Paragraph(marked, style)

    def _title(self, text: str) -> Any:
        return self._text(text, _style("h2", 13, bold=True, spaceBefore=14, spaceAfter=4))

    def _banner(self, bold: str, lines: Sequence[str], colour: str) -> Any:
        body = _style("banner", 9)
        head = self._text(bold, _style("banner-head", 9, bold=True))
        rows = [[head], *([self._text(line, body)] for line in lines)]
        look = [
            ("LINEBEFORE", (0, 0), (0, -1), 3, colour),
            ("LEFTPADDING", (0, 0), (-1, -1), 8),
            ("TOPPADDING", (0, 0), (-1, -1), 1.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ]
        return self._flow.Table(
            rows,
            colWidths=[_WIDTH],
            style=[_FONT, *look],
            spaceBefore=4,
            spaceAfter=6,
            splitInRow=1,
        )

    def _facts(self, facts: Sequence[tuple[str, str]]) -> list[Any]:
        small = _style("fact", 7.5, colour=FAINT, spaceBefore=3)
        body = _style("said", 8.5)
        return [
            self._text(x, style)
            for fact in facts
            for x, style in zip(fact, (small, body), strict=True)
        ]

    # Parts

    def _head(self) -> Iterator[Any]:
        parts = self._parts
        yield self._text(parts["title"], _style("h1", 21, bold=True, spaceAfter=4))
        lead = f"{parts['counts']}. Answered by {parts['model']} on {parts['made']}."
        yield self._text(lead, _style("lead", 9.5, spaceAfter=6))
        care = "No one may be treated, or not treated, because of this report."
        yield self._banner("Research use only: not a medical device.", [care], _BLUE)
        if parts["left_out"]:
            yield self._banner("Not all of it.", [parts["left_out"]], _ORANGE)
        failures = parts["failures"]
        if failures:
            noun = "file" if len(failures) == 1 else "files"
            lines = [f"{name}: {why}" for name, why in failures]
            yield self._banner(f"{len(failures):,} {noun} could not be read.", lines, _ORANGE)

    def _glance(self) -> Iterator[Any]:
        rows = self._parts["rows"]
        if len(rows) < 2:
            return
        yield self._title("At a glance")
        cell, head = _style("cell", 8.5), _style("cell-head", 7.5, colour=FAINT)
        table = [[self._text(text, head) for text in ("file", "answer", "probability")]]
        for number, name, answer, sure in rows:
            link = self._text(name, cell, f"entry-{number}")
            said = self._text(answer, cell if sure else _style("cell-bold", 8.5, bold=True))
            table.append([link, said, self._text(sure, cell)])
        look = [
            ("LINEBELOW", (0, 0), (-1, 0), 0.6, FAINT),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, _LINE),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        widths = [0.52 * _WIDTH, 0.32 * _WIDTH, 0.16 * _WIDTH]
        yield self._flow.Table(
            table, colWidths=widths, style=[_FONT, *look], repeatRows=1, spaceAfter=8
        )

    def _entry(self, number: int, entry: Entry) -> Iterator[Any]:
        rule = self._flow.HRFlowable(
            width="100%", thickness=0.8, color=_LINE, spaceBefore=10, spaceAfter=6
        )
        name = _style("name", 11, bold=True)
        anchor = _lab("platypus.flowables").AnchorFlowable(f"entry-{number}")
        kind = self._text(entry.kind, _style("kind", 7.5, colour=FAINT, spaceAfter=5))
        head = [rule, anchor, self._text(entry.name, name), kind]
        if entry.reason:
            head.append(self._banner("Not assessable: no class is named.", [entry.reason], _ORANGE))
        together = self._flow.KeepTogether
        if entry.bar is None:
            yield together([*head, self._picture(entry)])
            return
        if entry.shares:
            head.append(self._volume_said(entry))
        yield together([*head, *self._through(entry.bar)])
        yield from self._views(entry.views)

    def _end(self) -> Iterator[Any]:
        parts = self._parts
        lines = [*parts["reading"], *self._fonts.notes()]
        body = _style("reading", 9, leftIndent=10, bulletIndent=0, spaceAfter=2)
        points = [self._flow.Paragraph(self._fonts.marked(x), body, bulletText="•") for x in lines]
        yield self._flow.KeepTogether([self._title("How to read this"), *points])
        made = f"{parts['made']}, with {parts['versions']}"
        facts = [("Model", parts["model"]), *parts["limits"], ("Made", made)]
        yield self._flow.KeepTogether(
            [self._title("The model and its limits"), *self._facts(facts)]
        )

    # A picture

    def _picture(self, entry: Entry) -> Any:
        (view,) = entry.views
        shown = [*self._two(view, _PICTURES - _GUTTER, _HIGHEST), self._caption(view)]
        if not entry.shares:
            return self._columns([shown, []], [_PICTURES, _WIDTH - _PICTURES])
        wide = _WIDTH - _PICTURES
        return self._columns([shown, self._said(entry, wide)], [_PICTURES, wide])

    def _said(self, entry: Entry, width: float) -> list[Any]:
        return [self._answer(entry), self._shares(entry.shares, width), *self._facts(entry.facts)]

    def _answer(self, entry: Entry) -> Any:
        text = self._fonts.marked(entry.answer[:1].upper() + entry.answer[1:])
        sure = f" <font color='{FAINT}'>{escape(say_percent(entry.confidence or 0.0))}</font>"
        style = _style("answer", 13, spaceAfter=4)
        return self._flow.Paragraph(f"<font name='{BOLD}'>{text}</font>{sure}", style)

    def _shares(self, shares: Sequence[Share], width: float) -> Any:
        cell = _style("share", 8)
        faint = _style("share-faint", 8, colour=FAINT)
        bar = 0.3 * width
        rows = [
            [
                self._text(one.name, cell if one.in_set else faint),
                self._meter(one, bar),
                self._text(say_percent(one.value), cell if one.in_set else faint),
                self._text("in the set" if one.in_set else "", _style("set", 7, colour=FAINT)),
            ]
            for one in shares
        ]
        look = [
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("LEFTPADDING", (1, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 1),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ]
        widths = [0.28 * width, bar + 3, 0.17 * width, 0.25 * width - 3]
        return self._flow.Table(
            rows, colWidths=widths, style=[_FONT, *look], hAlign="LEFT", spaceAfter=3
        )

    def _meter(self, share: Share, width: float) -> Any:
        colour = _BLUE if share.in_set else FAINT
        return _rectangles(
            width, 6, [(0, 0, width, 6, _LINE), (0, 0, width * share.value, 6, colour)]
        )

    # A volume

    def _volume_said(self, entry: Entry) -> Any:
        left = 0.42 * _WIDTH
        said = [self._answer(entry), self._shares(entry.shares, left)]
        return self._columns(
            [said, self._facts(entry.facts)], [left + _GUTTER, _WIDTH - left - _GUTTER]
        )

    def _through(self, bar: Bar) -> Iterator[Any]:
        """Draw the bar along the slices, with its ends and how to read it."""
        high, step = 46.0, _WIDTH / len(bar.values)
        drawn = [(0.0, 10 + high / 2, _WIDTH, 0.4, FAINT)]
        for i, value in enumerate(bar.values):
            tall, colour = (1.5, FAINT) if value is None else (max(0.8, high * value), _ORANGE)
            drawn.append((i * step, 10, 0.86 * step, tall, colour))
        drawn += [(i * step, 2, max(0.86 * step, 2.5), 5, _BLUE) for i in bar.first]
        drawn.append((0, 9.4, _WIDTH, 0.6, FAINT))
        small = _style("end", 7, colour=FAINT)
        right = _style("end-right", 7, colour=FAINT, alignment=2)
        ends = [self._text("slice 1", small), self._text(f"slice {len(bar.values)}", right)]
        yield self._flow.Spacer(1, 10)
        yield _rectangles(_WIDTH, high + 10, drawn)
        yield self._columns([[end] for end in ends], [_WIDTH / 2, _WIDTH / 2])
        text = (
            "How probable a tumour is in each slice by itself: full height is 100 %, the line 50 "
            f"%. A grey mark: not assessable. A block below: look there first. {bar.alt}"
        )
        yield self._text(text, _style("caption", 7.5, colour=FAINT, spaceAfter=6))

    def _views(self, views: Sequence[View]) -> Iterator[Any]:
        """Show slices, two beside each other."""
        half = (_WIDTH - _GUTTER) / 2
        for i in range(0, len(views), 2):
            cells = [self._view(view, half) for view in views[i : i + 2]]
            cells += [[]] * (2 - len(cells))
            yield self._columns(cells, [half + _GUTTER, half])
            yield self._flow.Spacer(1, 6)

    def _view(self, view: View, width: float) -> list[Any]:
        title = self._text(view.title, _style("view", 8.5, bold=True, spaceAfter=2))
        return [title, *self._two(view, width, 0.7 * _HIGHEST), self._caption(view)]

    # Pieces

    def _two(self, view: View, width: float, highest: float) -> Iterator[Any]:
        """Put a slice and its map side by side."""
        each = (width - _GAP) / 2
        factor = min(each / view.size[0], highest / view.size[1])
        wide, high = (factor * side for side in view.size)
        pictures = [x for x in (view.plain, view.overlay) if x is not None]
        images = [self._flow.Image(io.BytesIO(x), wide, high) for x in pictures]
        widths = [wide + _GAP] * (len(images) - 1) + [wide]
        yield self._columns([[image] for image in images], widths, _GAP)

    def _caption(self, view: View) -> Any:
        text = f"{view.caption} {view.where}".strip()
        return self._text(text, _style("under", 7.5, colour=FAINT, spaceBefore=2))

    def _columns(
        self, cells: Sequence[Sequence[Any]], widths: Sequence[float], gap: float = _GUTTER
    ) -> Any:
        """Put things side by side; the widths have the gap in them."""
        look = [
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-2, -1), gap),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
            ("TOPPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        return self._flow.Table(
            [list(cells)], colWidths=widths, style=[_FONT, *look], hAlign="LEFT"
        )

    def _canvas(self) -> Any:
        """Make a kind of canvas that writes the foot of each page once their number is known."""
        foot = f"{self._parts['model']}  ·  research use only: not a medical device"

        class Numbered(_lab("pdfgen.canvas").Canvas):  # type: ignore[misc]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, "initialFontName": REGULAR})
                self._pages: list[dict[str, Any]] = []

            def showPage(self) -> None:  # noqa: N802
                self._pages.append(dict(self.__dict__))
                self._startPage()

            def save(self) -> None:
                for number, page in enumerate(self._pages, 1):
                    self.__dict__.update(page)
                    self.setFont(REGULAR, 7.5)
                    self.setFillColor(_hex(FAINT))
                    self.drawString(_MARGIN, 12 * _MM, foot)
                    of = f"page {number} of {len(self._pages)}"
                    self.drawRightString(_PAGE[0] - _MARGIN, 12 * _MM, of)
                    super().showPage()
                super().save()

        return Numbered


def _rectangles(
    width: float, height: float, drawn: Sequence[tuple[float, float, float, float, str]]
) -> Any:
    """Draw filled rectangles: left, bottom, width, height and colour of each."""

    class Rectangles(_lab("platypus").Flowable):  # type: ignore[misc]
        def wrap(self, *_: float) -> tuple[float, float]:
            return width, height

        def draw(self) -> None:
            for left, bottom, wide, high, colour in drawn:
                self.canv.setFillColor(_hex(colour))
                self.canv.rect(left, bottom, wide, high, stroke=0, fill=1)

    return Rectangles()


def _hex(colour: str) -> Any:
    return _lab("lib.colors").HexColor(colour)
