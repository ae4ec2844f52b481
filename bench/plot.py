#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what bench/compare.py measured: decode and prefill speed over depth, and decode speed over threads and neighbours.

    bench/plot.py COMPARE_JSON OUT.svg

Panels for which rows are missing are left empty, with a word about it. Writes SVG with the standard library alone.
"""
import json
import math
import pathlib
import statistics
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 720
PANEL_W, PANEL_H, LEFT, TOP, GAP_X, GAP_Y = 370, 220, 70, 110, 100, 110
INK, SOFT, GRID = "#1c2733", "#5b6775", "#e3e7ec"
OURS, OURS8, PEER = "#1f5fbf", "#12936f", "#c2641a"


class Svg:
    def __init__(self):
        self.parts = []

    def text(self, x, y, s, size=12, colour=INK, anchor="start", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{escape(str(s))}</text>')

    def line(self, x1, y1, x2, y2, colour=GRID, width=1.0):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    def path(self, points, colour):
        self.parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{colour}" '
                          f'stroke-width="2"/>')
        for x, y in points:
            self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')

    def bar(self, x, y, w, h, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{colour}"/>')

    def write(self, path):
        body = "\n".join(self.parts)
        pathlib.Path(path).write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                                      f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n')


def nice_top(v):
    """A round number at or above v, and a step that divides it."""
    step = 10 ** math.floor(math.log10(v / 4))
    for factor in (1, 2, 2.5, 5, 10):
        if v / (step * factor) <= 5:
            return step * factor * math.ceil(v / (step * factor)), step * factor
    return v, v


class Panel:
    def __init__(self, svg, column, row, title, top):
        self.svg = svg
        self.x, self.y = LEFT + column * (PANEL_W + GAP_X), TOP + row * (PANEL_H + GAP_Y)
        svg.text(self.x, self.y - 18, title, 14, weight="bold")
        self.top, step = nice_top(top) if top else (1, 1)
        for k in range(int(round(self.top / step)) + 1):
            y = self.at(k * step)
            svg.line(self.x, y, self.x + PANEL_W, y, SOFT if k == 0 else GRID)
            if top:
                svg.text(self.x - 8, y + 4, f"{k * step:g}", 11, SOFT, "end")

    def at(self, v):
        return self.y + PANEL_H * (1 - v / self.top)

    def missing(self, rows):
        self.svg.text(self.x + PANEL_W / 2, self.y + PANEL_H / 2, f"not measured ({rows})", 12, SOFT, "middle")

    def series(self, xs, lines, what):
        """lines: (name, colour, values)."""
        last = max(xs)
        px = [self.x + 12 + (PANEL_W - 24) * x / last for x in xs]
        free = 0
        for x, at in zip(xs, px):
            if at >= free:  # labels that would touch are left out
                self.svg.text(at, self.y + PANEL_H + 16, f"{x:,}", 11, SOFT, "middle")
                free = at + 40
        self.svg.text(self.x + PANEL_W / 2, self.y + PANEL_H + 34, what, 12, SOFT, "middle")
        for _, colour, values in lines:
            self.svg.path([(a, self.at(v)) for a, v in zip(px, values)], colour)
        # a key in the lower left corner, where curves that fall from the left do not come
        for i, (name, colour, values) in enumerate(lines):
            y = self.y + PANEL_H - 14 - 17 * (len(lines) - 1 - i)
            self.svg.line(self.x + 12, y - 4, self.x + 34, y - 4, colour, 3)
            self.svg.text(self.x + 40, y, f"{name}: {values[0]:.3g} → {values[-1]:.3g}", 12)

    def bars(self, groups, sides):
        """groups: (label, {side: value}); sides: (key, name, colour)."""
        each = PANEL_W / len(groups)
        width = min(54, each * 0.8 / len(sides))
        for i, (label, values) in enumerate(groups):
            middle = self.x + each * (i + 0.5)
            self.svg.text(middle, self.y + PANEL_H + 16, label, 12, SOFT, "middle")
            shown = [s for s in sides if s[0] in values]
            for k, (key, _, colour) in enumerate(shown):
                x, v = middle + (k - len(shown) / 2) * (width + 4), values[key]
                self.svg.bar(x, self.at(v), width, self.y + PANEL_H - self.at(v), colour)
                self.svg.text(x + width / 2, self.at(v) - 5, f"{v:.3g}", 11, INK, "middle")


def over_depth(svg, rows):
    s = rows.get("sweep")
    for column, (key, title, what) in enumerate((("decode", "Decode, tokens a second", "tokens in the context before"),
                                                 ("prefill", "Prefill, tokens a second", "tokens of the prompt"))):
        if not s:
            Panel(svg, column, 0, title, 0).missing("row sweep")
            continue
        lines = [("Remora, bf16 cache" if key == "decode" else "Remora", OURS, s["ours"][key])]
        if key == "decode" and "decode8" in s["ours"]:
            lines.append(("Remora, 8-bit cache", OURS8, s["ours"]["decode8"]))
        if key in s["peer"]:
            lines.append(("ik_llama.cpp", PEER, s["peer"][key]))
        Panel(svg, column, 0, title, 1.1 * max(max(l[2]) for l in lines)).series(s["lengths"], lines, what)


def medians(row, names):
    return {side: statistics.median(row[f"{side}_{names}"]) for side in ("ours", "peer") if f"{side}_{names}" in row}


def beside(svg, rows):
    sides = (("ours", "Remora", OURS), ("peer", "ik_llama.cpp", PEER))

    def draw(column, title, groups, names):
        top = max((v for _, g in groups for v in g.values()), default=0)
        panel = Panel(svg, column, 1, title, 1.15 * top)
        panel.bars(groups, sides) if groups else panel.missing(names)
    t = rows.get("threads", {})
    counts = sorted({int(k.split("_")[1]) for k in t if k.startswith("ours_")})
    draw(0, "Decode over threads, tokens a second", [(f"{n} thread{'s' * (n > 1)}", medians(t, n)) for n in counts], "row threads")
    busy, low = rows.get("busy", {}), rows.get("neighbours", {})
    groups = [(label, medians(row, name)) for label, row, name in (
        ("alone", busy or low, "quiet"), ("low priority", low, "busy"), ("equal priority", busy, "busy")) if row]
    draw(1, "Decode beside a busy process per core, t/s", groups, "rows busy, neighbours")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    data = json.loads(pathlib.Path(sys.argv[1]).read_text())
    svg, rows, m = Svg(), data["rows"], data["machine"]
    svg.text(LEFT, 32, "Remora and ik_llama.cpp, DeepSeek-V2-Lite's shape at 4 bits", 18, weight="bold")
    svg.text(LEFT, 52, f"{m['cpu']}, {m['cores']} cores; medians of alternating runs", 12, SOFT)
    for x, name, colour in ((540, "Remora", OURS), (620, "Remora, 8-bit cache", OURS8), (775, "ik_llama.cpp", PEER)):
        svg.bar(x, 43, 12, 10, colour)
        svg.text(x + 17, 52, name, 12)
    over_depth(svg, rows)
    beside(svg, rows)
    svg.write(sys.argv[2])


if __name__ == "__main__":
    main()
