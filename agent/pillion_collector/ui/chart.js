// SPDX-License-Identifier: Apache-2.0
// A line chart of one metric in SVG: scale from zero, three gridlines, gaps where nothing was measured, the value under
// the pointer. Drawn for its real width, again when that changes.

import { h, replace, s } from "./dom.js";
import { byUnit, clock } from "./format.js";
import { line } from "./text.js";

const PAD = { left: 2, right: 2, top: 14, bottom: 16 };
const COLOURS = 4;

/** data as of metrics.js, with `domain` where the axis of time is shared; moment: a time to mark. → {element, update(data), close()} */
export function createChart(data, { moment = null, small = false } = {}) {
  const now = h("span", { class: "now" });
  const plot = h("div", { class: "plot", style: small ? { height: "84px" } : {} });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("div", { class: "legend" });
  const element = h("figure", { class: "chart" }, h("figcaption", null, h("span", { title: data.name }, line(data.title, 60)), now), plot, legend, tip);
  let model = null;

  function draw() {
    if (!plot.clientWidth) return;
    model = makeModel(data, plot.clientWidth, plot.clientHeight, moment);
    replace(plot, svg(model, data, moment));
    const latest = data.series.map((one) => one.points.at(-1)?.[1]).filter((value) => value !== undefined);
    const whole = latest.length === 1 || data.additive;
    now.textContent = latest.length && whole ? byUnit(latest.reduce((sum, value) => sum + value, 0), data.unit) : "";
    replace(legend, data.series.length < 2 ? null : data.series.map((one, index) => h("span", { class: `c${index % COLOURS}` }, h("i"), line(one.label || "all", 40))));
  }

  function hover(event) {
    const box = plot.getBoundingClientRect();
    const x = event.clientX - box.left;
    const texts = model?.series.map((one) => ({ one, point: nearest(one.points, x) })).filter(({ point }) => point) ?? [];
    tip.hidden = !texts.length;
    if (!texts.length) return;
    const values = texts.map(({ one, point }) => `${one.label ? `${line(one.label, 30)} ` : ""}${byUnit(point.value, data.unit)}`);
    tip.textContent = `${clock(texts[0].point.ns, "s")} · ${values.join(" · ")}`;
    tip.style.left = `${Math.min(x + 8, Math.max(0, box.width - tip.offsetWidth))}px`;
    tip.style.top = "22px";
    const cursor = plot.querySelector(".cursor");
    for (const side of ["x1", "x2"]) cursor?.setAttribute(side, texts[0].point.x);
    cursor?.removeAttribute("visibility");
  }

  plot.addEventListener("pointermove", hover);
  plot.addEventListener("pointerleave", () => {
    tip.hidden = true;
    plot.querySelector(".cursor")?.setAttribute("visibility", "hidden");
  });
  const watcher = new ResizeObserver(draw);
  watcher.observe(plot);
  return { element, close: () => watcher.disconnect(), update: (next) => ((data = next), draw()) };
}

function makeModel(data, width, height, moment) {
  const times = data.series.flatMap((one) => one.points.map(([ns]) => ns));
  times.push(...(data.domain ?? []));
  if (moment !== null) times.push(moment);
  const first = times.reduce((a, b) => (b < a ? b : a), times[0] ?? 0n);
  const spread = Math.max(1e9, ...times.map((ns) => Number(ns - first)));
  const top = niceTop(Math.max(0, ...data.series.flatMap((one) => one.points.map(([, value]) => value))), data.unit);
  const x = (ns) => PAD.left + (Number(ns - first) / spread) * (width - PAD.left - PAD.right);
  const y = (value) => PAD.top + (1 - value / top) * (height - PAD.top - PAD.bottom);
  const series = data.series.map((one) => ({ label: one.label, points: one.points.map(([ns, value]) => ({ ns, value, x: x(ns), y: y(value) })) }));
  return { width, height, first, spread, top, x, y, series };
}

/** The next round number above, in the base that the unit is read in. */
function niceTop(value, unit) {
  if (!(value > 0)) return 1;
  const base = unit.startsWith("By") ? 1024 ** Math.max(0, Math.floor(Math.log(value) / Math.log(1024))) : 1;
  const scaled = value / base;
  const power = 10 ** Math.floor(Math.log10(scaled));
  const step = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((nice) => nice * power >= scaled * 1.02) ?? 12;
  return isCount(unit) ? Math.ceil(step * power) : step * power * base;
}

/** Threads, descriptors: whole things, so a whole number at the top. */
function isCount(unit) {
  return /^\{[^}]*\}$/.test(unit);
}

function svg(model, data, moment) {
  const { width, height, top, y, first, spread } = model;
  const label = `${data.title}: ${data.series.map((one) => `${one.label} ${one.points.length ? byUnit(one.points.at(-1)[1], data.unit) : "no data"}`).join(", ")}`;
  const grid = [0, 0.5, 1].map((part) => s("line", { class: "grid", x1: 0, x2: width, y1: y(part * top), y2: y(part * top) }));
  const ticks = [
    s("text", { class: "tick", x: 0, y: y(top) - 3 }, byUnit(top, data.unit)),
    s("text", { class: "tick", x: 0, y: height - 3 }, clock(first, "s")),
    s("text", { class: "tick", x: width, y: height - 3, "text-anchor": "end" }, clock(first + BigInt(Math.round(spread)), "s")),
  ];
  const lines = model.series.map((one, index) => s("g", { class: `c${index % COLOURS}` }, paths(one.points, model, model.series.length === 1)));
  const mark = moment === null ? null : s("line", { class: "moment", x1: model.x(moment), x2: model.x(moment), y1: PAD.top, y2: height - PAD.bottom });
  const cursor = s("line", { class: "cursor", x1: 0, x2: 0, y1: PAD.top, y2: height - PAD.bottom, visibility: "hidden" });
  return s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, grid, lines, mark, cursor, ticks);
}

/** One path for each stretch without a gap. */
function paths(points, model, filled) {
  return stretches(points).flatMap((part) => {
    if (part.length === 1) return [s("circle", { class: "alone", cx: part[0].x, cy: part[0].y, r: 1.8 })];
    const course = part.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
    const floor = model.y(0).toFixed(1);
    const area = filled ? s("path", { class: "area", d: `M${part[0].x.toFixed(1)} ${floor}L${course}L${part.at(-1).x.toFixed(1)} ${floor}Z` }) : null;
    return [area, s("path", { class: "series", d: `M${course}` })];
  });
}

function stretches(points) {
  const steps = points.slice(1).map((point, index) => Number(point.ns - points[index].ns)).sort((a, b) => a - b);
  const gap = 4 * (steps[Math.floor(steps.length / 2)] ?? 0);
  const parts = [];
  points.forEach((point, index) => {
    if (index === 0 || Number(point.ns - points[index - 1].ns) > gap) parts.push([]);
    parts.at(-1).push(point);
  });
  return parts;
}

function nearest(points, x) {
  return points.reduce((best, point) => (!best || Math.abs(point.x - x) < Math.abs(best.x - x) ? point : best), null);
}
