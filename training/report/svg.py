"""Builds SVG as text: elements whose text is escaped, marks, and a frame with axes.

Nothing carries a style of its own, which the page's policy would refuse: colours come from the classes of base.css and figures.css.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Range = tuple[float, float]


def tag(name: str, *children: str, **attributes: str | float) -> Markup:
    """Return an element: children that are no markup are escaped, attributes always; ``class_`` is ``class``, ``_`` elsewhere ``-``.

    >>> str(tag("text", "<b>", x=1.250, text_anchor="end"))
    '<text x="1.25" text-anchor="end">&lt;b&gt;</text>'
    """
    named = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(_written(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{named}>{Markup('').join(children)}</{name}>")  # noqa: S704 - all of it is escaped


def _written(value: str | float) -> str:
    # Two decimals: a hundredth of a unit of a plot of 270 units is a figure's fifth decimal.
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def image(title: str, description: str, size: tuple[float, float], *children: str, class_: str = "plot") -> Markup:
    """Return an SVG that says to a screen reader what it shows.

    Args:
        title: Its name.
        description: What it shows, in a sentence.
        size: Width and height in its own units, in which text is 10 high.
        children: Elements.
        class_: Class for the style sheet.
    """
    box = f"0 0 {_written(size[0])} {_written(size[1])}"
    return tag("svg", tag("title", title), tag("desc", description), *children, viewBox=box, role="img", class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """Return a line through points."""
    return tag("path", d="M" + "L".join(f"{_written(x)} {_written(y)}" for x, y in points), class_=class_)


def mark(shape: str, x: float, y: float, series: int, title: str = "", size: float = 4) -> Markup:
    """Return a mark: circle, square or triangle, in the colour of a series, with a read-out to hover over."""
    said = (tag("title", title),) if title else ()
    class_ = f"mark c{series % 8}"
    if shape == "circle":
        return tag("circle", *said, cx=x, cy=y, r=size, class_=class_)
    s = size * 1.15
    corners = {
        "square": ((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)),
        "triangle": ((0, -1.1), (1.05, 0.75), (-1.05, 0.75)),
    }[shape]
    return tag("path", *said, d="M" + "L".join(f"{_written(x + s * a)} {_written(y + s * b)}" for a, b in corners) + "Z", class_=class_)


def whisker(begin: tuple[float, float], end: tuple[float, float], series: int) -> Markup:
    """Return an interval: a line, across or upright, with a cap at each end."""
    (x, y), (x2, y2) = begin, end
    caps = f"M{_written(x)} {_written(y - 2.5)}v5M{_written(x2)} {_written(y2 - 2.5)}v5"
    if x == x2:
        caps = f"M{_written(x - 2.5)} {_written(y)}h5M{_written(x2 - 2.5)} {_written(y2)}h5"
    return tag("path", d=f"M{_written(x)} {_written(y)}L{_written(x2)} {_written(y2)}{caps}", class_=f"whisker c{series % 8}")


def swatch(*children: str) -> Markup:
    """Return the sign of a legend, 22 by 12 units; the words beside it say what it is."""
    return tag("svg", *children, viewBox="0 0 22 12", class_="swatch", aria_hidden="true")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a plot's values lie: the ranges of both axes, and the room around the area, in the units of the SVG."""

    across: Range = (0.0, 1.0)
    up: Range = (0.0, 1.0)
    width: float = 320
    height: float = 260
    left: float = 38
    right: float = 12
    top: float = 8
    bottom: float = 34

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.width, self.height

    def x(self, value: float) -> float:
        """Return the place of a value on the horizontal axis."""
        low, high = self.across
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Return the place of a value on the vertical axis."""
        low, high = self.up
        return self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a pair of values."""
        return self.x(x), self.y(y)

    def axes(self, across: str, up: str, ticks: Sequence[float]) -> Markup:
        """Return both axes with names, ticks and a grid."""
        foot, middle = self.y(self.up[0]), (self.top + self.height - self.bottom) / 2
        found = [self.columns(ticks)]
        for tick in ticks:
            found.append(
                tag("path", d=f"M{_written(self.left)} {_written(self.y(tick))}H{_written(self.width - self.right)}", class_="grid")
            )
            found.append(tag("text", f"{tick:g}", x=self.left - 5, y=self.y(tick) + 3.5, text_anchor="end"))
        found.append(tag("text", across, x=(self.left + self.width - self.right) / 2, y=foot + 29, text_anchor="middle", class_="name"))
        turned = f"translate(9 {_written(middle)}) rotate(-90)"
        return Markup("").join([*found, tag("text", up, transform=turned, text_anchor="middle", class_="name")])

    def columns(self, ticks: Sequence[float]) -> Markup:
        """Return the ticks of the horizontal axis, with their part of the grid."""
        foot = self.height - self.bottom
        lines = [tag("path", d=f"M{_written(self.x(tick))} {_written(self.top)}V{_written(foot)}", class_="grid") for tick in ticks]
        names = [tag("text", f"{tick:g}", x=self.x(tick), y=foot + 13, text_anchor="middle") for tick in ticks]
        return Markup("").join([*lines, *names])
