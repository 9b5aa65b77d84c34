"""Draws the measurements of `npm run bench:scale`: one column for each axis, with step time above and peak memory below.

plot_scale.py FILE.svg < output of bench:scale      reads the last line, which is JSON
"""

import json
import sys

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

matplotlib.rcParams.update({"svg.hashsalt": "graft", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})

AXES = {
    "length": ("sequence length, tokens", 512, lambda point: point["length"]),
    "size": ("model size, million parameters", 100, lambda point: point["parameters"] / 1e6),
    "rank": ("LoRA rank", 32, lambda point: point["rank"]),
    "vocabulary": ("vocabulary, thousand tokens", 64, lambda point: point["vocabulary"] / 1000),
    "rows": ("rows of 512 tokens", 2, lambda point: point["rows"]),
}
COSTS = [
    ("step time, s", "#1f6f8b", lambda point: point["stepSeconds"]),
    ("peak memory, GB", "#b5541c", lambda point: point["peakMemoryMb"] / 1000),
]

measured = json.loads(sys.stdin.read().strip().splitlines()[-1])
axes = {axis: points for axis, points in measured["axes"].items() if axis in AXES}  # the others have scales of their own
figure = Figure(figsize=(1.2 + 2.9 * len(axes), 4.6), layout="constrained")
# Linear axes from zero, with one scale for each row: a straight line is linear growth, a flat one is none.
panels = figure.subplots(len(COSTS), len(axes), sharex="col", sharey="row", squeeze=False)
for column, (axis, points) in enumerate(axes.items()):
    label, between_ticks, where = AXES[axis]
    for (cost, colour, how_much), panel in zip(COSTS, panels[:, column]):
        panel.plot([where(point) for point in points], [how_much(point) for point in points], "o-", color=colour, markersize=4)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        if column == 0:
            panel.set_ylabel(cost)
    panels[-1, column].set_xlabel(label)
    panels[-1, column].xaxis.set_major_locator(MultipleLocator(between_ticks))
for panel in panels.flat:  # only now, because a limit that is set no longer adapts to the row's other panels
    panel.set_xlim(left=0)
    panel.set_ylim(bottom=0)
base = measured["base"]
figure.suptitle(
    f"A LoRA step in {measured['precision']} on {measured['machine']}\n"
    f"where not varied: SmolLM2-{base['shape'].upper()}'s shape, {base['length']} tokens, rank {base['rank']}",
    fontsize=9,
)
# With a date, every drawing would differ.
figure.savefig(sys.argv[1], metadata={"Date": None} if sys.argv[1].endswith(".svg") else None)
