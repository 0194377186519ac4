"""How the slice is shown, as the person at the window changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorlens.apps.desktop.explain_panel import ExplainPanel
    from tumorlens.apps.desktop.picture_view import PictureView
    from tumorlens.apps.session.view_model import ViewModel

__all__ = ["Looks"]


class Looks:
    """The part of a window that changes looks: nothing is computed for them."""

    model: ViewModel
    picture: PictureView
    explain: ExplainPanel
    do: Callable[..., None]

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
        after = names[(names.index(self.model.view.colormap) + 1) % len(names)]
        self.do(self.model.view.set_colormap, after)

    def toggle_smooth(self) -> None:
        """Show smooth pixels, or sharp ones."""
        self.picture.smooth = not self.picture.smooth
        self.picture.redraw()
