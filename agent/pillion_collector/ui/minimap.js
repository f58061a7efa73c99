// SPDX-License-Identifier: Apache-2.0
// The whole trace in 56 pixels of height, and a rule of time below it. Dragging zooms the waterfall to that part of time,
// a double click shows all again. By keyboard: `z` in the waterfall.

import { servicePalette, themeColour } from "./colour.js";
import { h } from "./dom.js";
import { duration } from "./format.js";

const HEIGHT = 52;

/** onView([from, to]) as fractions of the trace. */
export function createMinimap(onView) {
  const canvas = h("canvas", { role: "img", "aria-label": "The whole trace; drag to zoom in time" });
  const left = h("i", { class: "shade" });
  const right = h("i", { class: "shade" });
  const map = h("div", { class: "map" }, canvas, left, right);
  const rule = h("div", { class: "rule", "aria-hidden": "true" });
  const element = h("div", { class: "minimap" }, h("div", { class: "corner" }, h("span", null, h("i"), "self time"), h("span", null, h("i", { class: "path" }), "critical path")), h("div", { class: "lanes" }, map, rule));
  let tree = null;
  let view = [0, 1];
  let anchor = null;

  function draw() {
    const width = map.clientWidth;
    if (tree && width) paint(canvas, tree, width);
    showView();
  }

  function showView() {
    left.style.cssText = `left:0;width:${view[0] * 100}%`;
    right.style.cssText = `right:0;width:${(1 - view[1]) * 100}%`;
    if (tree) showRule(rule, tree.duration, view);
  }

  const at = (event) => {
    const box = map.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  const between = (event) => [Math.min(anchor, at(event)), Math.max(anchor, at(event))];
  map.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    anchor = at(event);
    map.setPointerCapture(event.pointerId);
  });
  map.addEventListener("pointermove", (event) => {
    if (anchor === null) return;
    view = between(event);
    showView();
  });
  map.addEventListener("pointerup", (event) => {
    if (anchor === null) return;
    const chosen = between(event);
    anchor = null;
    onView(chosen[1] - chosen[0] < 0.004 ? [0, 1] : chosen);
  });
  const watcher = new ResizeObserver(draw);
  watcher.observe(map);
  document.addEventListener("themechange", draw);

  return {
    element,
    close: () => (watcher.disconnect(), document.removeEventListener("themechange", draw)),
    update: (next) => ((tree = next), draw()),
    zoom: (next) => ((view = next), showView()),
  };
}

function paint(canvas, { rows, duration: total }, width) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(HEIGHT * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const palette = servicePalette();
  const red = themeColour("--error-fill");
  const step = Math.min(6, (HEIGHT - 8) / rows.length);
  const thick = Math.max(1, step - (step > 3 ? 1 : 0));
  rows.forEach((row, index) => {
    context.fillStyle = row.failed ? red : palette(row.span.service);
    context.fillRect((row.start / total) * width, 4 + index * step, Math.max(1, ((row.end - row.start) / total) * width), thick);
  });
}

function showRule(rule, total, [from, to]) {
  const ticks = rule.clientWidth > 700 ? 6 : 3;
  const marks = [];
  for (let index = 0; index <= ticks; index += 1) {
    const fraction = index / ticks;
    const text = duration((from + (to - from) * fraction) * total);
    marks.push(h("span", { class: index === ticks ? "last" : null, style: { left: `${fraction * 100}%` } }, text));
  }
  rule.replaceChildren(...marks);
}
