#!/usr/bin/env python3
"""Draws what peers.sh measured as bars. Usage: bars.py [ROWS.jsonl] > FILE.svg
Of several rows of one program and wire the last one counts."""
import html
import json
import sys

PANELS = [  # field, title, unit factor, format
    ("tcp1", "TCP, one stream, Gbit/s", 1, "{:.2f}"),
    ("tcp4", "TCP, four streams, Gbit/s", 1, "{:.2f}"),
    ("udp", "UDP, 128 bytes, without loss, 1000 packets/s", 1e-3, "{:.0f}"),
    ("rtt", "round trip, microseconds (shorter is better)", 1, "{:.0f}"),
    ("dcpu", "CPU of both daemons, seconds a GB (shorter is better)", 1, "{:.2f}"),
    ("rss", "largest memory of a daemon, MiB (shorter is better)", 1, "{:.0f}"),
]
WIDTH, LABEL, BAR, GAP, TITLE = 900, 190, 16, 4, 30
NAMES = {"raw": "bare cable", "raw-relay": "kernel routing", "i3": "i3, straight", "i3-relay": "i3, by a node", "custom": "least program"}


def rows():
    latest = {}
    for line in open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin:
        row = json.loads(line)
        if "error" not in row:
            latest[(row["wire"], row["peer"])] = row
    return latest


def panel(out, y, title, bars, form):
    out.append(f'<text x="0" y="{y + 20}" font-weight="bold">{html.escape(title)}</text>')
    y += TITLE
    longest = max((value for name, value in bars if not name.startswith("raw")), default=1) or 1
    for name, value in bars:
        length = min(value / longest, 1.12) * (WIDTH - LABEL - 160)
        colour = "#2b6cb0" if name.startswith("i3") else "#c9cdd2" if name.startswith("raw") else "#8a94a3"
        more = " (cut)" if value > 1.12 * longest else ""
        out.append(f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{html.escape(NAMES.get(name, name))}</text>')
        out.append(f'<rect x="{LABEL}" y="{y}" width="{max(length, 1):.1f}" height="{BAR}" fill="{colour}"/>')
        out.append(f'<text x="{LABEL + length + 6:.1f}" y="{y + 12}">{form.format(value)}{more}</text>')
        y += BAR + GAP
    return y + 8


def main():
    latest = rows()
    out, y = [], 0
    for wire in sorted({wire for wire, _ in latest}):
        y += 28
        what = "super-packets on the cable" if wire == "offload" else "frames of 1500 bytes on the cable"
        out.append(f'<text x="0" y="{y}" font-size="16" font-weight="bold">wire={wire}: {what}</text>')
        for field, title, factor, form in PANELS:
            bars = [(peer, row[field] * factor) for (of, peer), row in latest.items() if of == wire and row.get(field)]
            if bars:
                y = panel(out, y, title, bars, form)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" font-family="sans-serif" font-size="12">')
    print('<rect width="100%" height="100%" fill="#ffffff"/>')
    print("\n".join(out))
    print("</svg>")


main()
