// SPDX-License-Identifier: Apache-2.0
// A sparkline: thirty bars of requests in the service's hue, the failed part of each in red at its foot.

import { hueStyle } from "./colour.js";
import { s } from "./dom.js";
import { clock, count } from "./format.js";

const WIDTH = 120;
const HEIGHT = 22;

export function sparkline(points, name) {
  const top = Math.max(1, ...points.map((point) => point.requests));
  const step = WIDTH / Math.max(points.length, 1);
  const bars = points.flatMap((point, index) => bar(point, index * step, step, top));
  const total = points.reduce((sum, point) => sum + point.requests, 0);
  const label = points.length ? `${count(total)} requests, highest bar ${count(top)}` : "no requests";
  return s("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label, style: hueStyle(name) },
    s("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }), bars);
}

function bar(point, x, step, top) {
  if (!point.requests) return [];
  const height = Math.max(1.5, (point.requests / top) * HEIGHT);
  const failed = point.errors ? Math.max(2, (point.errors / point.requests) * height) : 0;
  const title = s("title", null, `${clock(point.t, "s")} · ${count(point.requests)} requests${point.errors ? ` · ${count(point.errors)} errors` : ""}`);
  const box = { x: x + 0.5, width: Math.max(step - 1, 0.5) };
  return [
    s("rect", { ...box, class: "requests", y: HEIGHT - height, height }, title),
    failed ? s("rect", { ...box, class: "errors", y: HEIGHT - failed, height: failed }) : null,
  ];
}

/** p50, p95 and p99 on a logarithmic rule that all services share: where the bar sits is how slow it is. */
export function latencyRange(row, low, high) {
  const place = (ns) => (high > low ? (Math.log(Math.max(ns, 1) / low) / Math.log(high / low)) * (WIDTH - 6) + 3 : WIDTH / 2);
  const [a, b, c] = [row.p50_ns, row.p95_ns, row.p99_ns].map(place);
  return s("svg", { class: "latency", viewBox: `0 0 ${WIDTH} 12`, preserveAspectRatio: "none", "aria-hidden": "true", style: hueStyle(row.name) },
    s("line", { class: "base", x1: 0, x2: WIDTH, y1: 6, y2: 6 }),
    s("rect", { class: "tail", x: b, y: 4.5, width: Math.max(c - b, 1), height: 3 }),
    s("rect", { class: "body", x: a, y: 2.5, width: Math.max(b - a, 2), height: 7 }));
}
