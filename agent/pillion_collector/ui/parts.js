// SPDX-License-Identifier: Apache-2.0
// Small pieces that several pages share: a service with its colour, a time, a panel, an error count, the range of time.

import { hueStyle } from "./colour.js";
import { h } from "./dom.js";
import { clock, plural, utc } from "./format.js";
import { patch, route } from "./router.js";
import { line } from "./text.js";

export function service(name) {
  return h("span", { class: "service" }, dot(name), h("bdi", null, line(name ?? "–", 80)));
}

export function dot(name) {
  return h("i", { class: "dot", style: hueStyle(name), "aria-hidden": "true" });
}

/** Local time, UTC on hover. */
export function time(ns, parts) {
  return h("time", { title: utc(ns) }, clock(ns, parts));
}

export function panel(title, { tools, label, hint } = {}, ...children) {
  const heading = title ? h("header", null, h("h2", null, title, hint ? h("span", { class: "hint" }, hint) : null), tools ? h("div", { class: "tools" }, tools) : null) : null;
  return h("section", { class: "panel", "aria-label": label ?? title }, heading, children);
}

/** Errors are the only red thing: nothing is shown for none. */
export function errors(number) {
  return number ? h("span", { class: "error" }, plural(number, "error")) : h("span", { class: "faint" }, "–");
}

export function empty(text, ...more) {
  return h("p", { class: "empty" }, text, more);
}

/** The command that makes data appear, ready to be copied. */
export function command(text, button) {
  return h("div", { class: "command" }, h("code", null, h("span", { class: "faint", "aria-hidden": "true" }, "$ "), text), button);
}

const RANGES = [["-5m", "Last 5 minutes"], ["-15m", "Last 15 minutes"], ["-1h", "Last hour"], ["-6h", "Last 6 hours"], ["-24h", "Last 24 hours"], ["-7d", "Last 7 days"]];

/** The range of time, kept in the URL as from and to. */
export function rangeSelect() {
  const select = h("select", { "aria-label": "Range of time", class: "range", on: { change: () => patch({ from: select.value, to: null }) } });
  const update = () => {
    const { params } = route();
    const from = params.get("from") ?? "-1h";
    const own = !RANGES.some(([value]) => value === from) || params.has("to");
    const custom = own ? [h("option", { value: from }, rangeText(params))] : [];
    select.replaceChildren(...custom, ...RANGES.map(([value, text]) => h("option", { value }, text)));
    select.value = from;
  };
  update();
  return { element: select, update };
}

export function rangeText(params) {
  const from = params.get("from") ?? "-1h";
  const to = params.get("to");
  if (/^\d+$/.test(from)) return `${clock(from, "s")} – ${to ? clock(to, "s") : "now"}`;
  return RANGES.find(([value]) => value === from)?.[1] ?? `From ${line(from, 20)}`;
}
