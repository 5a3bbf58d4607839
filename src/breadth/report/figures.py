"""From arrays to Axes: every function draws one picture and computes nothing.

The columns of a picture come as keyword arguments, arrays of equal length, one entry per thing drawn; they
are the columns of the CSV file beside it. NaN is not drawn. Call them inside `style.context`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from breadth.report import style

__all__ = [
    "MAX_SERIES",
    "answers",
    "distinct",
    "frontier",
    "lengths",
    "masses",
    "overview",
    "overview_frame",
    "ranking",
    "top_tokens",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Strings = NDArray[np.str_]

MAX_SERIES = 10
"""More rule families than this are not told apart: the others stay faint points."""

DEFAULT: dict[str, Any] = {
    "linestyle": "none",
    "marker": "*",
    "color": "#ffd400",
    "markeredgecolor": style.INK,
    "markeredgewidth": 1.1,
    "zorder": 6,
    "clip_on": False,
    "label": "the model's default",
}
"""The model's default rule is the yellow star in every figure."""

ORACLE_WORDS = {
    "oracle_size": "size: knows how many\ntokens are valid",
    "oracle_validity": "validity: knows which\ntokens are valid",
    "oracle_shape": "shape: knows how likely\neach should be",
}

_HALO = [withStroke(linewidth=3, foreground="white")]


def _unique(values: NDArray[Any]) -> list[Any]:
    """The different values, in order of appearance."""
    return list(dict.fromkeys(values.tolist()))


class _Legend:
    """Entries under headings, to the right of the Axes."""

    def __init__(self) -> None:
        self.entries: list[tuple[Artist, str]] = []
        self.headings: list[str] = []

    def head(self, text: str) -> None:
        """Start a group, once."""
        if text not in self.headings:
            self.headings.append(text)
            self.add(Line2D([], [], linestyle="none"), f"\n{text}" if self.entries else text)

    def add(self, handle: Artist, text: str) -> None:
        """Add an entry."""
        self.entries.append((handle, text))

    def draw(self, ax: Axes) -> None:
        """Write it."""
        handles, labels = zip(*self.entries, strict=True)
        legend = ax.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(1.03, 1.0),
            borderaxespad=0,
            labelspacing=0.5,
            handlelength=2.4,
        )
        for text in legend.get_texts():
            if text.get_text().strip() in self.headings:
                text.set_fontweight("bold")


def _legend_above(ax: Axes, handles: list[Artist], columns: int) -> None:
    """A legend in one line between headline and Axes."""
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        borderaxespad=0.3,
        ncols=columns,
        handletextpad=0.5,
        columnspacing=1.4,
    )


def _plane(ax: Axes) -> None:
    """The unit square of validity and diversity."""
    ticks = np.arange(0, 1.1, 0.2)
    ax.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03), xticks=ticks, yticks=ticks)


def _plane_words(ax: Axes) -> None:
    ax.set_xlabel("Validity: probability that an answer is valid  (better →)")
    ax.set_ylabel("Diversity: share of the valid answers in use  (better →)")


def _repeating(ax: Axes, n_answers: int, *, words: bool) -> None:
    """The diversity of always giving the same answer."""
    ax.axhline(1 / n_answers, color=style.MUTED, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    if words:
        high = n_answers == 1
        ax.annotate(
            f"always the same answer: 1/{n_answers:,}",
            (0.12, 1 / n_answers),
            xytext=(0, -3 if high else 3),
            textcoords="offset points",
            va="top" if high else "bottom",
            fontsize=8.5,
            color=style.MUTED,
            path_effects=_HALO,
            zorder=7,
        )


def frontier(
    ax: Axes,
    *,
    kind: Strings,
    series: Strings,
    rule: Strings,
    validity: Floats,
    diversity: Floats,
    on_front: Bools,
    n_answers: int,
    heading: str = "Decoding rules",
) -> None:
    """Validity against diversity [Fig. 6, 9]: all points faint, the front of every series drawn.

    Args:
        ax: the legend is written to the right of it.
        kind: `rule`, `oracle` or `default`.
        series: what shares a front: a rule family, an oracle, or a rule of its own; rules best first.
        rule: the rule of each point.
        validity: 0 … 1.
        diversity: 0 … 1.
        on_front: whether the point is on its series' front; these come in the order of the front.
        n_answers: |V|.
        heading: of the rules in the legend.
    """
    _plane(ax)
    _plane_words(ax)
    highest = validity[kind == "rule"].max(initial=0.0)
    panes = [ax]
    if 0 < highest < 0.2:
        panes.append(_enlarged(ax, highest, np.nanmax(diversity[kind == "rule"])))
    # With few answers the words would stand under the window.
    _repeating(ax, n_answers, words=len(panes) == 1 or n_answers > 7)
    legend = _Legend()
    names = _unique(series[kind == "rule"])
    look_of = style.looks(names) | style.ORACLES
    for name in names:
        mine = (kind == "rule") & (series == name)
        faint = {"linestyle": "none", "alpha": 0.35, "markersize": 3.2, "markeredgewidth": 0}
        for pane in panes:
            pane.plot(
                validity[mine], diversity[mine], **look_of[name].options | faint, label=f"tried: {name}"
            )

    def front(name: str, text: str, **options: Any) -> None:
        mine = (series == name) & on_front
        if mine.sum() == 1:
            options |= {"linestyle": "none", "markersize": 8}
        options = look_of[name].options | {"markersize": 5.5, "label": name} | options
        lines = [
            pane.plot(validity[mine], diversity[mine], **options, clip_on=pane is not ax) for pane in panes
        ]
        legend.add(lines[0][0], text)

    for name in names[:MAX_SERIES]:
        legend.head(heading)
        text = "temperature alone" if name == "temperature" else style.wrapped(name)
        front(name, text, markeredgecolor="white", markeredgewidth=0.5, zorder=3)
    if len(names) > MAX_SERIES:
        legend.add(Line2D([], [], linestyle="none"), f"and {len(names) - MAX_SERIES} more, faint")
    for index in np.flatnonzero(kind == "default"):
        stars = [pane.plot([validity[index]], [diversity[index]], **DEFAULT, markersize=15) for pane in panes]
        legend.head("The model's default rule")
        legend.add(stars[0][0], style.wrapped(str(rule[index])))
    for name in _unique(series[kind == "oracle"]):
        legend.head("Oracles, for diagnosis only")
        front(name, ORACLE_WORDS[name], markerfacecolor="white", linewidth=1.2, zorder=4)
    legend.draw(ax)


def _enlarged(ax: Axes, validity: float, diversity: float) -> Axes:
    """A window onto the left edge of the plane, for models that are hardly ever valid."""
    window = ax.inset_axes((0.36, 0.3, 0.56, 0.6))
    window.set(xlim=(-0.04 * validity, 1.1 * validity), ylim=(-0.03, min(1.15 * diversity, 1.03)))
    window.xaxis.set_major_locator(MaxNLocator(5))
    window.yaxis.set_major_locator(MaxNLocator(5))
    window.set_title("enlarged", fontsize=9, color=style.MUTED, pad=4)
    ax.indicate_inset_zoom(window, edgecolor=style.MUTED)
    return window


def overview(
    ax: Axes,
    *,
    model: Strings,
    task: Strings,
    kind: Strings,
    rule: Strings,
    validity: Floats,
    diversity: Floats,
    n_answers: int,
) -> None:
    """One model on one task, small: the front of all rules, oracle size, and the default.

    Args:
        ax: a small Axes; axis labels and legend are `overview_frame`'s.
        model: one name, in every entry.
        task: one name, in every entry.
        kind: `front` and `oracle_size` in the order of the front, `default`.
        rule: the rule of each point.
        validity: 0 … 1.
        diversity: 0 … 1.
        n_answers: |V|.
    """
    for name, up, weight in ((model[0], 16, "bold"), (task[0], 4, "normal")):
        label = ax.annotate(
            style.legible(str(name)),
            (0, 1),
            xytext=(0, up),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            fontweight=weight,
        )
        style.fit(label, ax.bbox.width)
    _plane(ax)
    _repeating(ax, n_answers, words=False)
    best, oracle, default = (kind == name for name in ("front", "oracle_size", "default"))
    # What a front allows: everything that it beats.
    ax.fill_between(
        np.append(validity[best], 0.0),
        np.append(diversity[best], diversity[best].max(initial=0.0)),
        color=style.VALID,
        alpha=0.12,
        linewidth=0,
        step="pre",
    )
    ax.plot(
        validity[best],
        diversity[best],
        color=style.VALID,
        drawstyle="steps-pre",
        marker="o",
        markersize=3,
        label="best of all rules tried",
    )
    ax.plot(
        validity[oracle],
        diversity[oracle],
        **style.ORACLES["oracle_size"].options,
        markerfacecolor="white",
        clip_on=False,
        label="oracle size: knows how many tokens are valid",
    )
    ax.plot(validity[default], diversity[default], **DEFAULT, markersize=13)


def overview_frame(grid: NDArray[Any], n_panels: int) -> None:
    """Labels and one legend around a grid of overviews, the first `n_panels` of which are used."""
    across = grid.shape[1]
    for ax in grid.flat[n_panels:]:
        ax.set_visible(False)
    for index, ax in enumerate(grid.flat[:n_panels]):
        below = index + across
        ax.tick_params(labelleft=index % across == 0, labelbottom=below >= n_panels)
        if index % across == 0:
            ax.set_ylabel("Diversity  (better →)")
        if below >= n_panels:
            ax.set_xlabel("Validity  (better →)")
    figure = grid.flat[0].figure
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(0.7, figure.get_size_inches()[1] - 0.68),
        bbox_transform=figure.dpi_scale_trans,
        borderaxespad=0,
        ncols=len(names),
    )


def lengths(ax: Axes, *, length: Ints, temperature: Floats, validity: Floats, diversity: Floats) -> None:
    """What temperature alone can do, by the length of the answers [Fig. 5, left].

    Args:
        ax: the legend is written to the right of it.
        length: of the answers, for example the number of digits.
        temperature: ascending inside a length; every point's is written beside it where there is room.
        validity: 0 … 1.
        diversity: 0 … 1.
    """
    _plane(ax)
    _plane_words(ax)
    legend = _Legend()
    legend.head("Length")
    values = _unique(length)
    look_of = dict(zip(values, style.sequence(len(values)), strict=True))
    for value, look in look_of.items():
        mine = length == value
        (line,) = ax.plot(
            validity[mine],
            diversity[mine],
            **look.options,
            markeredgecolor="white",
            markeredgewidth=0.5,
            markersize=6.5,
            clip_on=False,
            label=f"{value}",
        )
        legend.add(line, f"{value}")
    legend.add(Line2D([], [], linestyle="none"), "numbers:\ntemperature")
    legend.draw(ax)
    texts = [f"{value:g}" for value in temperature]
    _annotate(ax, validity, diversity, texts, [look_of[value].colour for value in length.tolist()])


_PLACES = [
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (5, 5, "left", "bottom"),
    (-5, -5, "right", "top"),
    (-5, 5, "right", "bottom"),
    (5, -5, "left", "top"),
]
"""Where a label may stand beside its point, best first: offset in points, alignment."""


def _annotate(ax: Axes, x: Floats, y: Floats, texts: list[str], colours: list[str]) -> None:
    """Write each text beside its point, inside, where it covers no line and no other text, or not at all."""
    inside = ax.bbox.padded(8)
    drawn = [line.get_path().interpolated(20).vertices for line in ax.lines]
    taken = ax.transData.transform(np.concatenate(drawn))
    boxes: list[Any] = []
    for at_x, at_y, text, colour in zip(x, y, texts, colours, strict=True):
        if np.isnan(at_x) or np.isnan(at_y):
            continue
        dark = tuple(0.75 * part for part in to_rgb(colour))
        label = ax.annotate(
            text, (at_x, at_y), xytext=(0, 0), textcoords="offset points", fontsize=8.5, color=dark
        )
        for dx, dy, ha, va in _PLACES:
            label.set(position=(dx, dy), ha=ha, va=va)
            box = label.get_window_extent()
            within = inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1)
            if within and box.count_contains(taken) == 0 and box.count_overlaps(boxes) == 0:
                boxes.append(box)
                break
        else:
            label.remove()


def answers(
    ax: Axes, beside: Axes, *, temperature: Floats, rank: Ints, probability: Floats, n_answers: int
) -> None:
    """Answers sorted by probability at several temperatures, with the tail [Fig. 5 right, 10].

    Args:
        ax: the answers.
        beside: a narrow Axes that shares the vertical axis, for the tail.
        temperature: one curve each, in order of appearance.
        rank: of the answer at that temperature, from 1; 0 stands for all invalid answers together.
        probability: 0 … 1.
        n_answers: |V|.
    """
    values = _unique(temperature)
    lines: list[Artist] = []
    for place, (value, look) in enumerate(zip(values, style.sequence(len(values)), strict=True)):
        mine = (temperature == value) & (rank > 0)
        (line,) = ax.plot(
            rank[mine],
            probability[mine],
            **look.options,
            markevery=max(1, int(mine.sum()) // 12),
            linewidth=2.4 if value == 1 else 1.5,
            label=f"{value:g}",
        )
        lines.append(line)
        tail = probability[(temperature == value) & (rank == 0)]
        beside.plot(
            np.full(len(tail), place),
            tail,
            **look.options | {"linestyle": "none", "markersize": 8},
            clip_on=False,
            label=f"{value:g}",
        )
        for p in tail[tail > 0]:
            beside.annotate(
                _percent(p),
                (place, p),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
                path_effects=_HALO,
            )
    ax.axhline(1 / n_answers, color=style.INK, linewidth=1.2, linestyle=(0, (6, 3)), zorder=1.5)
    ax.annotate(
        f"all valid answers equally likely: 1/{n_answers:,}",
        (1, 1 / n_answers),
        xycoords=("axes fraction", "data"),
        xytext=(-3, 3),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        path_effects=_HALO,
        zorder=7,
    )
    seen = probability[probability > 0]
    # Far below an even share nobody will ever see an answer; its exact depth is in the data file.
    floor = max(min(seen.min(initial=1.0), 1 / n_answers) / 2, 1e-5 / n_answers)
    ax.set_ylim(floor, 3)
    style.probability_axis(ax, "y")
    ax.set_xlim(0.5, n_answers + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(style.count)
    ax.set_xlabel("Valid answers, most probable first (rank)")
    ax.set_ylabel("Probability of the answer (log scale)")
    beside.set(xlim=(-0.7, len(values) - 0.3), xticks=range(len(values)))
    beside.set_xticklabels([f"{value:g}" for value in values])
    beside.grid(visible=False, axis="x")
    beside.tick_params(axis="y", which="both", length=0, labelleft=False)
    beside.set_xlabel("All invalid answers\ntogether, by temperature")
    handle = Line2D([], [], linestyle="none", label="Temperature:")
    _legend_above(ax, [handle, *lines], len(lines) + 1)


def _percent(share: float) -> str:
    """A probability short enough to stand above a marker."""
    if share < 0.01:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def distinct(
    ax: Axes, *, kind: Strings, label: Strings, samples: Floats, expected: Floats, n_answers: int
) -> None:
    """Expected number of different valid answers against samples drawn.

    Args:
        ax: logarithmic in the samples.
        kind: `ideal`, `default` or `rule`.
        label: what the curve is called.
        samples: ≥ 1.
        expected: 0 … |V|.
        n_answers: |V|.
    """
    looks = iter((style.Look(style.VALID, "o"), style.Look("#009e73", "^", "-.")))
    legend = _Legend()
    legend.head("Drawing again and again from")
    for name in _unique(label):
        mine = label == name
        match kind[mine][0]:
            case "ideal":
                look, width = style.Look(style.INK, "", (0, (6, 3))), 1.4
            case "default":
                look, width = style.Look("#c79a00", "*"), 2.2
            case _:
                look, width = next(looks), 1.8
        (line,) = ax.plot(
            samples[mine],
            expected[mine],
            **look.options,
            linewidth=width,
            markersize=9 if look.marker == "*" else 5,
            markevery=8,
            label=name,
        )
        legend.add(line, name)
    legend.draw(ax)
    ax.axhline(n_answers, color=style.MUTED, linewidth=1.1, linestyle=(0, (1, 2)), zorder=1)
    ax.annotate(
        f"{n_answers:,} valid answers exist" if n_answers > 1 else "1 valid answer exists",
        (0, n_answers),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=8.5,
        color=style.MUTED,
    )
    ax.set_ylim(0, n_answers * 1.1)
    ax.set_xlim(samples.min(), samples.max())
    style.count_axis(ax, "x")
    ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_formatter(style.count)
    ax.set_xlabel("Samples drawn, valid or not (log scale)")
    ax.set_ylabel("Different valid answers  (better →)")


def masses(ax: Axes, *, temperature: Floats, frequent: Floats, rare: Floats, invalid: Floats) -> None:
    """Where one step's probability goes as temperature rises [Fig. 1, right].

    Args:
        ax: stacked, from 0 to 1.
        temperature: ascending.
        frequent: probability of the valid tokens that are likely at temperature 1.
        rare: probability of the other valid tokens.
        invalid: probability of all other tokens.
    """
    names = (
        "valid, likely at temperature 1",
        "valid, rare at temperature 1",
        "invalid",
    )
    areas = ax.stackplot(
        temperature,
        frequent,
        rare,
        invalid,
        colors=[style.VALID, style.RARE, style.INVALID_AREA],
        labels=names,
        linewidth=0.8,
        edgecolor="white",
    )
    areas[2].set(hatch="////", edgecolor=style.INVALID, linewidth=0)
    ax.axvline(1, color=style.INK, linewidth=1.1, linestyle=(0, (4, 3)))
    ax.annotate(
        "T = 1",
        (1, 0),
        xytext=(6, 6),
        textcoords="offset points",
        fontsize=9,
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 2},
    )
    ax.set(xlim=(temperature.min(), temperature.max()), ylim=(0, 1))
    ax.grid(visible=False)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel("Temperature")
    ax.set_ylabel("Probability of the next token")
    handles: list[Artist] = [
        Patch(facecolor=area.get_facecolor()[0], edgecolor=edge, hatch=hatch, linewidth=0, label=name)
        for area, name, hatch, edge in zip(
            areas, names, ("", "", "////"), ("white", "white", style.INVALID), strict=True
        )
    ]
    _legend_above(ax, handles, 3)


def top_tokens(ax: Axes, *, token: Strings, probability: Floats, valid: Bools) -> None:
    """The most likely next tokens as bars, with their text [Fig. 1, left].

    Args:
        ax: one row per token, the most likely on top.
        token: as it should be read.
        probability: 0 … 1.
        valid: whether the token keeps the answer valid.
    """
    rows = np.arange(len(token))
    for which, colour, face, hatch in (
        (valid, style.VALID, style.VALID, ""),
        (~valid, style.INVALID, style.INVALID_AREA, "////"),
    ):
        ax.barh(
            rows[which],
            probability[which],
            height=0.72,
            facecolor=face,
            edgecolor=colour,
            hatch=hatch,
            linewidth=0.6,
            label="valid" if which is valid else "invalid",
        )
    for row, p in zip(rows, probability, strict=True):
        ax.annotate(
            f"{p:.1%}" if p >= 1e-3 else "<0.1%" if p > 0 else "0%",
            (p, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    ax.set_yticks(rows, token)
    for text, is_valid in zip(ax.get_yticklabels(), valid, strict=True):
        text.set_color(style.VALID if is_valid else style.INVALID)
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(token) - 0.4, -0.6), xlim=(0, max(probability.max(initial=0.0), 1e-9) * 1.22))
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if value <= 1 else "")
    ax.set_xlabel(f"The {len(token)} likeliest tokens")


def ranking(ax: Axes, *, rank: Ints, probability: Floats, valid: Bools) -> None:
    """All tokens by rank, told apart by validity [Fig. 1, left].

    Args:
        ax: logarithmic both ways.
        rank: ascending, from 1; the last is the size of the vocabulary.
        probability: 0 … 1.
        valid: whether the token keeps the answer valid.
    """
    ax.plot(rank, probability, color=style.FAINT, linewidth=1.2, zorder=1, label="_all")
    ax.plot(
        rank[~valid],
        probability[~valid],
        linestyle="none",
        marker="x",
        markersize=4.5,
        markeredgewidth=1.1,
        color=style.INVALID,
        label="invalid (not all drawn)",
    )
    ax.plot(
        rank[valid],
        probability[valid],
        linestyle="none",
        marker="o",
        markersize=6,
        color=style.VALID,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label=f"valid: {valid.sum():,} token{'s' * int(valid.sum() != 1)}",
        zorder=3,
    )
    ax.margins(0.03)
    style.count_axis(ax, "x")
    style.probability_axis(ax, "y")
    ax.set_xlabel(f"All {rank.max():,} tokens by rank (log scale)")
    ax.set_ylabel("Probability at temperature 1 (log scale)")
    ax.legend(loc="lower left")
