"""How the slice is shown, as the person at the window changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorlens.apps.desktop.contrast_bar import ContrastBar
    from tumorlens.apps.desktop.explain_panel import ExplainPanel
    from tumorlens.apps.desktop.picture_view import PictureView
    from tumorlens.apps.session.contrast import Range
    from tumorlens.apps.session.view_model import ViewModel

__all__ = ["Looks"]


class Looks:
    """The part of a window that changes looks: nothing is computed for them."""

    model: ViewModel
    picture: PictureView
    explain: ExplainPanel
    contrast: ContrastBar
    do: Callable[..., None]
    _contrast_open = False
    _greys_before: Range | None = None  # the right button was pressed

    def set_strength(self, strength: float) -> None:
        """Make the overlay as dense as the slider says."""
        self.model.view.set_strength(strength)
        self.picture.strength = self.model.view.strength
        self.picture.redraw()

    def stronger(self, by: float) -> None:
        """Change the strength of the overlay."""
        self.explain.set_strength(min(1.0, max(0.0, self.model.view.strength + by)))

    def set_beside(self, beside: bool) -> None:  # noqa: FBT001  # as Tk calls it
        """Show the original beside the overlay, or not."""
        self.picture.beside = beside
        self.picture.redraw()

    def toggle_beside(self) -> None:
        """Show the original beside the overlay, or not."""
        self.explain.beside.set(not self.picture.beside)
        self.set_beside(not self.picture.beside)

    def toggle_contrast(self) -> None:
        """Show the sliders of window and level, or not."""
        self._contrast_open = not self._contrast_open
        self._show_contrast()

    def _show_contrast(self) -> None:
        if self._contrast_open:
            self.contrast.grid(row=2, column=0, sticky="ew")
        else:
            self.contrast.grid_remove()

    def drag_contrast(self, drawn: tuple[float, float] | None) -> None:
        """Change window and level as the mouse is drawn: (0, 0) begins, ``None`` resets."""
        view = self.model.view
        if drawn is None:
            self.reset_contrast()
        elif drawn == (0.0, 0.0) or self._greys_before is None:
            self._greys_before = view.greys
        else:
            self.do(view.move_greys, self._greys_before, 2 * drawn[0], drawn[1])

    def reset_contrast(self) -> None:
        """Show the values that are usually black and white as such."""
        self.do(self.model.view.reset_greys)

    def change_contrast(self, wider: float, higher: float) -> None:
        """Change window and level by parts of the usual window."""
        if (greys := self.model.view.greys) is not None:
            self.do(self.model.view.move_greys, greys, wider, higher)

    def set_contour(self, contour: bool) -> None:  # noqa: FBT001  # as Tk calls it
        """Show evidence as a line, or as colour."""
        self.model.view.contour = self.picture.contour = contour
        self.picture.redraw()

    def toggle_contour(self) -> None:
        """Show evidence as a line, or as colour."""
        self.explain.contour.set(not self.picture.contour)
        self.set_contour(not self.picture.contour)

    def toggle_overlay(self) -> None:
        """Lay the overlay over the slice, or not."""
        self.picture.covered = not self.picture.covered
        self.picture.redraw()

    def next_colours(self) -> None:
        """Colour the evidence by the next colour map."""
        names = self.model.options.colormaps
        after = names[(names.index(self.model.view.look.colormap) + 1) % len(names)]
        self.do(self.model.view.set_colormap, after)

    def toggle_smooth(self) -> None:
        """Show smooth pixels, or sharp ones."""
        self.picture.smooth = not self.picture.smooth
        self.picture.redraw()
