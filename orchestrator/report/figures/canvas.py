"""What pictures are drawn on, by matplotlib, without a display; it is imported only when something is drawn.

Figures are drawn in one ink. In an SVG it becomes the colour of the text around it, so that it fits a light and a dark page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"  # a colour that nothing else has
COLORS = ("#3b7dd8", "#e07b1f", "#2a9d6f", "#c4559d", "#d6494a", "#8b6be0", "#1fa6b8", "#9a8f1f", "#a8713f", "#6f8299")
WIDTH = 11.0  # inches
SCREEN = 1.45  # pixels of a page for a point, so that a small figure is not blown up


def figure(height: float, width: float = WIDTH) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def style(salt: str) -> AbstractContextManager[Any]:
    """``salt`` keeps the ids of one picture apart from those of another on the same page."""
    import matplotlib

    inked = ("text.", "axes.edge", "axes.label", "axes.title", "xtick.", "ytick.", "grid.", "legend.label")
    settings: dict[Any, Any] = {f"{name}color": INK for name in inked} | {
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.15,
        "text.parse_math": False,  # a dollar in a label is a dollar
        "svg.fonttype": "none",
        "pdf.fonttype": 42,  # letters that can be selected, and that publishers take
        "svg.hashsalt": salt,  # not a random one: the same picture is the same text
    }
    return matplotlib.rc_context(settings)


@dataclass(frozen=True)
class Picture:
    """A picture that is drawn when it is asked for. ``salt`` keeps its ids apart from those of others on the same page."""

    salt: str
    draw: Callable[[], Figure]

    def svg(self) -> str:
        """To be put into a page: no prolog, no fixed size, no ids of mere groups, and the ink is that of the page."""
        with style(self.salt):
            return _svg(self.draw())

    def content(self, format: str) -> bytes:
        """A file of its own: png, svg or pdf, on white."""
        content = io.BytesIO()
        with style(self.salt):
            metadata = {"CreationDate": None} if format == "pdf" else {}  # the same picture is the same file
            self.draw().savefig(content, format=format, dpi=180, facecolor="white", metadata=metadata)
        return content.getvalue()


def _svg(drawn: Figure) -> str:
    text = io.StringIO()
    drawn.savefig(text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    head, body = re.split(r"(?=<svg)", text.getvalue(), maxsplit=1)[1].split(">", maxsplit=1)
    head = re.sub(r' height="[^"]*"', "", head)
    head = re.sub(r' width="([\d.]+)pt"', lambda found: f' style="max-width: {float(found[1]) * SCREEN:.0f}px"', head)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    return f"{head}>{body}".replace(INK, "currentColor")
