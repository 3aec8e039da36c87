# SPDX-License-Identifier: MIT
"""Curves as SVG, both axes logarithmic. No background, and colours of middle brightness: they are
readable on light and on dark pages. Each line has its name at its end and marks of its own."""
import math
from xml.sax.saxutils import escape

from figures import show

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 40, 52
INK, GRID = "#7a828c", "#7a828c40"
COLOURS = ("#3b82f6", "#c2701c", "#2f9e58", "#a066d8", "#d1495b")
LABEL_HEIGHT = 15


def _decades(values):
    least, most = min(values), max(values)
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most) - 1e-9)
    return low, max(high, low + 1)


def _tick(exponent):
    if exponent >= 6:
        return f"{show(10 ** (exponent - 6))}M"
    if exponent >= 3:
        return f"{show(10 ** (exponent - 3))}k"
    return f"{10 ** exponent:g}"


def _mark(kind, x, y, colour):
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    if kind == 1:
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
    corners = [(0, -5), (5, 4), (-5, 4)] if kind == 2 else [(0, -6), (6, 0), (0, 6), (-6, 0)]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def _text(x, y, text, anchor="middle", colour=INK, more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{more}>'
            f"{escape(text)}</text>")


def _apart(places):
    """Label heights, moved down where two would lie on each other."""
    moved = {}
    last = -math.inf
    for name, y in sorted(places.items(), key=lambda item: item[1]):
        last = moved[name] = max(y, last + LABEL_HEIGHT)
    return moved


def draw(title, x_title, y_title, lines):
    """`lines`: {name: [(x, y), …]}, all above 0."""
    points = [point for line in lines.values() for point in line]
    x_low, x_high = _decades([x for x, _ in points])
    y_low, y_high = _decades([y for _, y in points])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x, y):
        return (LEFT + (math.log10(x) - x_low) / (x_high - x_low) * (right - LEFT),
                bottom - (math.log10(y) - y_low) / (y_high - y_low) * (bottom - TOP))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="sans-serif" '
           f'font-size="12"><title>{escape(title)}</title>',
           _text(LEFT, 22, title, "start", more=' font-size="14" font-weight="bold"')]
    for exponent in range(x_low, x_high + 1):
        x = place(10 ** exponent, 10 ** y_low)[0]
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>')
        out.append(_text(x, bottom + 18, _tick(exponent)))
    for exponent in range(y_low, y_high + 1):
        y = place(10 ** x_low, 10 ** exponent)[1]
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{GRID}"/>')
        out.append(_text(LEFT - 8, y + 4, _tick(exponent), "end"))
    out.append(_text((LEFT + right) / 2, HEIGHT - 12, x_title))
    middle = (TOP + bottom) / 2
    out.append(_text(16, middle, y_title, more=f' transform="rotate(-90 16 {middle:.1f})"'))

    labels = _apart({name: place(*line[-1])[1] for name, line in lines.items()})
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [_mark(number % 4, x, y, colour) for x, y in places]
        out.append(_text(places[-1][0] + 10, labels[name] + 4, name, "start", colour))
    return "\n".join([*out, "</svg>"]) + "\n"
