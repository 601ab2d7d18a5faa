"""Draws the shares of `netral stats` with their intervals, as one SVG file without a library."""

from xml.sax.saxutils import escape

from inference.outputs.stats import SMALL, Group, Stats, wilson

# Groups drawn of each grouping: more are not read any more; the CSV has them all.
GROUPS = 40
_NAME, _PANEL, _GAP, _ROW, _HEAD = 220, 190, 44, 18, 44
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #222 } .title { font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }
.faint { fill: #777 } line { stroke: #ddd } .interval { stroke: #888; stroke-width: 2 } circle { fill: #1f5fa8 } .small { opacity: 0.4 }
@media (prefers-color-scheme: dark) { svg { background: #111 } text { fill: #eee } .faint { fill: #999 } line { stroke: #333 }
.interval { stroke: #888 } circle { fill: #7db5ee } }
"""


def plot(stats: Stats) -> str:
    """Return an SVG: for every grouping a row a group and a panel a label, the share of articles as a dot on its interval.

    A panel reaches from 0 to the highest end of an interval of a group that is not small. Small groups are pale.
    """
    shown = {by: list(groups.items()) for by, groups in stats.groups.items() if by != "all"} or {"all": list(stats.groups["all"].items())}
    shown = {by: groups[-GROUPS:] if by in ("day", "week", "month", "year") else groups[:GROUPS] for by, groups in shown.items()}
    tops = [_top(label, shown) for label in stats.labels]
    width = _NAME + len(stats.labels) * (_PANEL + _GAP)
    body, y = [], 0
    for by, groups in shown.items():
        body += _section(by, groups, stats.labels, tops, y)
        y += _HEAD + _ROW * len(groups) + _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" role="img">\n<title>Share of articles with each label, '
        f"with 95 % intervals</title>\n<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _top(label: str, shown: dict[str, list[tuple[str, Group]]]) -> float:
    """Return the right end of a label's panels, a multiple of a tenth."""
    every = [group for groups in shown.values() for _, group in groups]
    ends = [wilson(group.with_label[label], group.articles)[1] for group in every if group.articles >= SMALL]
    return min(1.0, -(-max(ends, default=1.0) * 10 // 1) / 10)


def _section(by: str, groups: list[tuple[str, Group]], labels: list[str], tops: list[float], top: int) -> list[str]:
    out = [_text(_NAME - 12, top + 16, by, "title end")]
    bottom = top + _HEAD + _ROW * len(groups) - _ROW // 2
    for k, label in enumerate(labels):
        left = _NAME + k * (_PANEL + _GAP)
        out.append(_text(left, top + 16, label, "title"))
        for share in (0.0, tops[k] / 2, tops[k]):
            x = left + _PANEL * share / tops[k]
            out.append(f'<line x1="{x:.1f}" y1="{top + 34}" x2="{x:.1f}" y2="{bottom}"/>')
            out.append(_text(x, top + 30, f"{share:.0%}", "faint middle"))
    for i, (name, group) in enumerate(groups):
        y = top + _HEAD + _ROW * i
        out.append(_text(_NAME - 12, y + 4, f"{name if len(name) <= 24 else name[:23] + '…'} ({group.articles})", "end"))
        for k, label in enumerate(labels):
            out += _mark(group, label, _NAME + k * (_PANEL + _GAP), y, tops[k])
    return out


def _mark(group: Group, label: str, left: int, y: int, top: float) -> list[str]:
    n = group.with_label[label]
    low, high = wilson(n, group.articles)
    share, end = n / group.articles, left + _PANEL
    x, x1, x2 = (min(left + _PANEL * value / top, end) for value in (share, low, high))
    small = " small" if group.articles < SMALL else ""
    tip = escape(f"{label}: {n} of {group.articles} articles, {share:.1%} [{low:.1%}, {high:.1%}]")
    return [
        f'<g class="mark{small}"><title>{tip}</title><line class="interval" x1="{x1:.1f}" y1="{y}" x2="{x2:.1f}" y2="{y}"/>'
        f'<circle cx="{x:.1f}" cy="{y}" r="4"/></g>'
    ]


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" class="{kind}">{escape(text)}</text>'
