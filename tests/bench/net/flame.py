#!/usr/bin/env python3
"""Draws a flame graph (SVG) from what `perf script` prints: perf script -i DATA | flame.py TITLE > x.svg

Each box is a function; its width is the part of all samples in which it was on the stack."""
import html, re, sys

WIDTH, ROW, LEAST = 1200, 16, 0.3   # pixels; narrower boxes are left out
COLOURS = {"kernel": "#e8a25c", "cipher": "#c86b98", "ours": "#6ba5d6", "other": "#b8b8b8"}


def kind(function, module):
    if "kernel" in module or module.endswith(".ko"):
        return "kernel"
    if "IPSec_MB" in module or "crypto" in module or "sodium" in module:
        return "cipher"
    return "ours" if "i3-" in module else "other"


def stacks(lines):
    """One list of (function, kind) a sample, outermost first, the program's name in front."""
    program, frames = None, []
    for line in lines:
        line = line.rstrip()
        if not line:
            if program and frames:
                yield [(program, "other")] + frames[::-1]
            program, frames = None, []
        elif not line[0].isspace():
            program = line.split()[0]
        else:
            found = re.match(r"\s+[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$", line)
            if found:
                name, module = found[1], found[2]
                label = kind(name, module)
                if name == "[unknown]":
                    name = "(" + module.rsplit("/", 1)[-1] + ")"
                frames.append((re.sub(r"\(.*", "", name) if label == "ours" else name, label))
    if program and frames:
        yield [(program, "other")] + frames[::-1]


def tree(all_stacks):
    root = {"count": 0, "children": {}}
    for stack in all_stacks:
        at = root
        at["count"] += 1
        for frame in stack:
            at = at["children"].setdefault(frame, {"count": 0, "children": {}})
            at["count"] += 1
    return root


def boxes(node, x, depth, scale):
    for frame, child in sorted(node["children"].items()):
        width = child["count"] * scale
        if width >= LEAST:
            yield frame, x, depth, width, child["count"]
            yield from boxes(child, x, depth + 1, scale)
        x += width


def main():
    title = sys.argv[1] if len(sys.argv) > 1 else "where the time goes"
    root = tree(stacks(sys.stdin))
    if root["count"] == 0:
        sys.exit("flame.py: no samples")
    drawn = list(boxes(root, 0, 0, WIDTH / root["count"]))
    depth = max(box[2] for box in drawn) + 1
    height = (depth + 2) * ROW + 8
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" font-size="11">')
    print(f'<text x="4" y="13">{html.escape(title)}: {root["count"]} samples</text>')
    for (name, label), x, level, width, count in drawn:
        y = height - (level + 1) * ROW - 4
        part = 100 * count / root["count"]
        print(f'<g><title>{html.escape(name)} {part:.1f} %</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
              f'height="{ROW - 1}" fill="{COLOURS[label]}" rx="1"/>')
        if width > 30:
            print(f'<text x="{x + 2:.1f}" y="{y + 11}">{html.escape(name[:int(width / 6.8)])}</text>')
        print("</g>")
    print("</svg>")


main()
