// SPDX-License-Identifier: Apache-2.0
// Duration (logarithmic) over time, one dot a trace, on a canvas. Dragging selects an area of time and duration, a click
// opens the trace. It repeats what the list says, so for assistive technology it is one image with a label.

import { servicePalette, themeColour } from "./colour.js";
import { h } from "./dom.js";
import { clock, count, duration } from "./format.js";
import { go, link } from "./router.js";
import { line } from "./text.js";

const PAD = { left: 58, right: 14, top: 12, bottom: 22 };
const REACH = 14; // px around a dot that count as on it

/** onBrush({from, to, min, max}) with values for the URL. */
export function createScatter(onBrush) {
  const canvas = h("canvas", { role: "img" });
  const brush = h("div", { class: "brush", hidden: true });
  const tip = h("div", { class: "tip", hidden: true });
  const element = h("div", { class: "scatter" }, canvas, brush, tip);
  let model = null;
  let traces = [];
  let start = null;

  function draw() {
    const box = element.getBoundingClientRect();
    if (!box.width) return;
    model = makeModel(traces, box.width, box.height);
    paint(canvas, model);
  }

  function nearest(event) {
    const [x, y] = position(event, element);
    let best = null;
    let reach = REACH ** 2;
    for (const point of model?.points ?? []) {
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance < reach) [best, reach] = [point, distance];
    }
    return best;
  }

  function hover(event) {
    const point = start ? null : nearest(event);
    tip.hidden = !point;
    element.style.cursor = point ? "pointer" : "";
    if (!point) return;
    const { trace } = point;
    tip.textContent = `${duration(trace.duration_ns)} · ${line(trace.root_name, 60)} · ${line(trace.root_service, 40)} · ${clock(trace.start_ns)}`;
    const left = Math.min(point.x + 10, Math.max(0, element.clientWidth - tip.offsetWidth - 4));
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(2, point.y - 34)}px`;
  }

  function drag(event) {
    if (!start) return hover(event);
    const area = rectangle(start, position(event, element));
    brush.hidden = area.width < 4 && area.height < 4;
    for (const [side, value] of Object.entries(area)) brush.style[side] = `${value}px`;
  }

  function drop(event) {
    if (!start) return;
    const area = rectangle(start, position(event, element));
    start = null;
    brush.hidden = true;
    if (area.width < 4 && area.height < 4) {
      const point = nearest(event);
      if (point) go(link("trace", point.trace.trace_id));
    } else if (model) onBrush(model.values(area));
  }

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !model?.points.length) return;
    start = position(event, element);
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", drag);
  element.addEventListener("pointerup", drop);
  element.addEventListener("pointercancel", () => ((start = null), (brush.hidden = true)));
  element.addEventListener("pointerleave", () => (tip.hidden = true));
  const watcher = new ResizeObserver(draw);
  watcher.observe(element);
  document.addEventListener("themechange", draw);

  return {
    element,
    busy: () => start !== null,
    close: () => (watcher.disconnect(), document.removeEventListener("themechange", draw)),
    update(rows) {
      traces = rows;
      canvas.setAttribute("aria-label", `Scatter of ${count(rows.length)} traces: duration over time. The list below has the same traces.`);
      draw();
    },
  };
}

function position(event, element) {
  const box = element.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function rectangle([x0, y0], [x1, y1]) {
  return { left: Math.min(x0, x1), top: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
}

/** Scales and points, from the traces and the size alone. */
function makeModel(traces, width, height) {
  const times = traces.map((trace) => BigInt(trace.start_ns));
  const first = times.reduce((a, b) => (b < a ? b : a), times[0] ?? 0n);
  const spread = Math.max(1e6, ...times.map((t) => Number(t - first)));
  const durations = traces.map((trace) => Math.max(1000, trace.duration_ns));
  const low = Math.floor(Math.log10(durations.length ? Math.min(...durations) : 1e6));
  const high = Math.max(low + 1, Math.ceil(Math.log10(durations.length ? Math.max(...durations) : 1e9)));
  const inner = { width: width - PAD.left - PAD.right, height: height - PAD.top - PAD.bottom };
  const x = (ns) => PAD.left + (ns / spread) * inner.width;
  const y = (ns) => PAD.top + (1 - (Math.log10(ns) - low) / (high - low)) * inner.height;
  const timeAt = (px) => first + BigInt(Math.round(((px - PAD.left) / inner.width) * spread));
  const durationAt = (px) => 10 ** (low + (1 - (px - PAD.top) / inner.height) * (high - low));
  const points = traces.map((trace, index) => ({ trace, x: x(Number(times[index] - first)), y: y(durations[index]) }));
  const values = (area) => ({
    from: timeAt(area.left), to: timeAt(area.left + area.width),
    min: exact(durationAt(area.top + area.height)), max: exact(durationAt(area.top)),
  });
  return { width, height, points, first, spread, low, high, x, y, values };
}

/** A duration that the URL can carry and a reader can read. */
function exact(ns) {
  return ns >= 1e9 ? `${(ns / 1e9).toFixed(2)}s` : ns >= 1e6 ? `${(ns / 1e6).toFixed(2)}ms` : `${Math.round(ns / 1e3)}us`;
}

function paint(canvas, model) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(model.width * scale);
  canvas.height = Math.round(model.height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  paintAxes(context, model);
  const palette = servicePalette();
  const red = themeColour("--error-fill");
  const failed = (point) => point.trace.status === "error" || point.trace.errors > 0;
  for (const point of [...model.points].sort((a, b) => failed(a) - failed(b))) {
    context.fillStyle = failed(point) ? red : palette(point.trace.root_service);
    context.globalAlpha = failed(point) ? 1 : 0.75;
    context.beginPath();
    context.arc(point.x, point.y, failed(point) ? 3.6 : 3, 0, 7);
    context.fill();
  }
  context.globalAlpha = 1;
}

function paintAxes(context, model) {
  const { width, height, low, high, first, spread } = model;
  const [lineColour, muted] = [themeColour("--line"), themeColour("--muted")];
  context.strokeStyle = lineColour;
  context.fillStyle = muted;
  context.textBaseline = "middle";
  context.textAlign = "right";
  const every = high - low > 4 ? 2 : 1;
  for (let power = low; power <= high; power += every) {
    const at = Math.round(model.y(10 ** power)) + 0.5;
    context.beginPath();
    context.moveTo(PAD.left, at);
    context.lineTo(width - PAD.right, at);
    context.stroke();
    context.fillText(duration(10 ** power).replace(/\.0+(?=\D)/, ""), PAD.left - 8, at);
  }
  if (!model.points.length) return;
  const ticks = Math.max(2, Math.min(8, Math.floor(width / 150)));
  context.textBaseline = "alphabetic";
  for (let index = 0; index < ticks; index += 1) {
    const ns = (spread * index) / (ticks - 1);
    context.textAlign = index === 0 ? "left" : index === ticks - 1 ? "right" : "center";
    context.fillText(clock(first + BigInt(Math.round(ns)), spread > 6e11 ? "min" : "s"), model.x(ns), height - 6);
  }
}
