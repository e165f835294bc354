"""SVG plots, by hand: horizontal bars and lines on logarithmic axes. Colours follow the reader's light or dark scheme."""
import math

STYLE = """<style>
  text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 11px } .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d0d7de } .goal { stroke: #24292f; stroke-width: 2 }
  .s0 { fill: #0969da; stroke: #0969da } .s1 { fill: #bf8700; stroke: #bf8700 } .s2 { fill: #8250df; stroke: #8250df } .s3 { fill: #1a7f37; stroke: #1a7f37 }
  .s4 { fill: #6e7781; stroke: #6e7781 }
  polyline { fill: none !important; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .grid { stroke: #30363d } .goal { stroke: #e6edf3 }
    .s0 { fill: #58a6ff; stroke: #58a6ff } .s1 { fill: #d29922; stroke: #d29922 } .s2 { fill: #bc8cff; stroke: #bc8cff } .s3 { fill: #3fb950; stroke: #3fb950 }
    .s4 { fill: #8b949e; stroke: #8b949e }
  }
</style>"""


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def short(value):
    """1,234 · 12.3 · 0.45: three digits are enough."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def decades(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


class LogAxis:
    def __init__(self, low, high, at, to):
        self.ticks = decades(low, high)
        if len(self.ticks) < 2:
            self.ticks = [self.ticks[0] / 10, self.ticks[0]]
        self.low, self.high, self.at, self.to = math.log10(self.ticks[0]), math.log10(self.ticks[-1]), at, to

    def __call__(self, value):
        return self.at + (math.log10(max(value, 10 ** self.low)) - self.low) / (self.high - self.low) * (self.to - self.at)


def document(width, height, parts, title):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}">'
            + STYLE + "\n" + "\n".join(parts) + "\n</svg>\n")


def wide(text):
    """Pixels that a text of 13 px may take: a font's average, with something to spare."""
    return 7.2 * len(text)


def legend(names, x, y, is_shown=lambda i: True):
    parts = []
    for i, name in enumerate(names):
        if not is_shown(i):
            continue
        parts.append(f'<rect class="s{i % 5}" x="{x}" y="{y - 10}" width="12" height="10"/><text x="{x + 17}" y="{y}">{escape(name)}</text>')
        x += 40 + wide(name)
    return parts


def bars(title, axis_label, groups, names, goals=None):
    """groups: [(label, [value or None for each name])]; goals: {label: value}, a line across the group."""
    goals = goals or {}
    values = [v for _, row in groups for v in row if v] + list(goals.values())
    if not values:
        return None
    bar, gap, top = 13, 12, 64
    left = round(20 + max(wide(label) for label, _ in groups))
    width = left + 540
    heights = [bar * max(1, sum(v is not None for v in row)) for _, row in groups]
    height = top + sum(heights) + gap * len(groups) + 44
    x = LogAxis(min(values), max(values), left, width - 70)
    parts = [f'<text class="title" x="12" y="24">{escape(title)}</text>', 
             *legend(names, 12, 48, lambda i: any(row[i] is not None for _, row in groups))]
    for tick in x.ticks:
        label = f"{tick:g}" if tick < 1000 else f"{tick:,.0f}"
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{height - 40}"/>'
                     f'<text class="small" x="{x(tick):.1f}" y="{height - 24}" text-anchor="middle">{label}</text>')
    parts.append(f'<text class="small" x="{(left + width - 70) / 2:.0f}" y="{height - 6}" text-anchor="middle">{escape(axis_label)}</text>')
    y = top + 4
    for (label, row), tall in zip(groups, heights):
        parts.append(f'<text x="{left - 8}" y="{y + tall / 2 + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        if label in goals:
            at = x(goals[label])
            parts.append(f'<line class="goal" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 3}" y2="{y + tall + 3}"/>')
        for i, value in enumerate(row):
            if value is None:
                continue
            end = max(x(value), left + 1)
            told = end + 5
            if label in goals and end - 2 <= x(goals[label]) <= told + wide(short(value)):
                told = x(goals[label]) + 5 # not under the goal's line
            parts.append(f'<rect class="s{i % 5}" x="{left}" y="{y}" width="{end - left:.1f}" height="{bar - 2}"/>'
                         f'<text class="small" x="{told:.1f}" y="{y + bar - 3}">{short(value)}</text>')
            y += bar
        if all(v is None for v in row):
            y += bar
        y += gap
    return document(width, height, parts, title)


def lines(title, panels, names):
    """panels: [(title, x label, y label, {name: [(x, y)]})], two in a row. Logarithmic both ways; x = 0 is drawn at the left edge."""
    panels = [p for p in panels if any(p[3].values())]
    if not panels:
        return None
    pw, ph, width = 470, 270, 960
    parts = [f'<text class="title" x="12" y="24">{escape(title)}</text>', *legend(names, 12, 48)]
    for n, (head, xl, yl, curves) in enumerate(panels):
        parts += panel(n % 2 * (pw + 10), 64 + n // 2 * (ph + 10), pw, ph, head, xl, yl, curves, names)
    return document(width, 64 + math.ceil(len(panels) / 2) * (ph + 10), parts, title)


def panel(ox, oy, pw, ph, head, xl, yl, curves, names):
    points = [p for c in curves.values() for p in c if p[1]]
    xs = sorted({p[0] for p in points})
    place = {v: ox + 70 + (i + 0.5) * (pw - 90) / len(xs) for i, v in enumerate(xs)}
    y = LogAxis(min(p[1] for p in points), max(p[1] for p in points), oy + ph - 58, oy + 30)
    what, comma, how = head.partition(", ")
    parts = [f'<text x="{ox + 70}" y="{oy + 16}">{escape(what)}<tspan class="small">{escape(comma + how)}</tspan></text>']
    for tick in y.ticks:
        label = f"{tick:g}" if tick < 1000 else f"{tick:,.0f}"
        parts.append(f'<line class="grid" x1="{ox + 70}" x2="{ox + pw - 20}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
                     f'<text class="small" x="{ox + 64}" y="{y(tick) + 4:.1f}" text-anchor="end">{label}</text>')
    for v in xs:
        parts.append(f'<text class="small" x="{place[v]:.1f}" y="{oy + ph - 28}" text-anchor="middle">{v:,}</text>')
    parts.append(f'<text class="small" x="{ox + pw / 2:.0f}" y="{oy + ph - 10}" text-anchor="middle">{escape(xl)}</text>'
                 f'<text class="small" transform="translate({ox + 14} {oy + ph / 2:.0f}) rotate(-90)" text-anchor="middle">{escape(yl)}</text>')
    for i, name in enumerate(names):
        curve = [(place[px], y(py), py, below(px, py, name, curves)) for px, py in sorted(curves.get(name, [])) if py]
        if curve:
            parts.append(f'<polyline class="s{i % 5}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b, *_ in curve)}"/>')
        parts += [f'<circle class="s{i % 5}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/><text class="small" x="{a:.1f}" y="{b + 18 if is_below else b - 8:.1f}" text-anchor="middle">{short(v)}</text>'
                  for a, b, v, is_below in curve]
    return parts


def below(x, y, name, curves):
    """Where two curves are near each other at x, the lower one's figure stands below its point."""
    others = [dict(curve).get(x) for other, curve in curves.items() if other != name]
    return any(other and (y < other < 4 * y or (y == other and name == max(curves))) for other in others)
