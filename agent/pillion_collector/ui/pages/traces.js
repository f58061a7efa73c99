// SPDX-License-Identifier: Apache-2.0
// Find a trace: search and filters (all in the URL), a scatter to brush, and the list, live until paused.

import { get, latest } from "../api.js";
import { h } from "../dom.js";
import { parseDuration, plural } from "../format.js";
import * as keys from "../keys.js";
import { panel } from "../parts.js";
import { patch, route } from "../router.js";
import { createScatter } from "../scatter.js";
import { createFilters } from "./filters.js";
import { createTraceList } from "./trace_list.js";

const PAGE = 100;
const MOST = 1000;

export function mount(main) {
  const load = latest();
  const filters = createFilters();
  const list = createTraceList();
  const scatter = createScatter((area) => patch(area));
  const found = h("span", { class: "count", role: "status" });
  const pause = h("button", { type: "button", "aria-pressed": "false", title: "Pause the live list (p)" }, "Pause");
  const order = orderSegments();
  const more = h("button", { type: "button", hidden: true, on: { click: () => patch({ limit: Math.min(MOST, limitOf(route().params) * 3) }, { replace: true }) } }, "Show more");
  const picture = panel(null, { label: "Duration over time" }, scatter.element);
  let paused = false;
  let missed = false;

  main.append(
    h("h1", { class: "offscreen" }, "Traces"),
    filters.element,
    picture,
    h("div", { class: "listhead" }, order.element, found, h("div", { class: "tools push" }, pause)),
    panel(null, { label: "Traces" }, h("div", { class: "scroll" }, list.element), list.none),
    more);

  async function fetchShown() {
    const { params } = route();
    const answer = await load((signal) => get("traces", query(params), signal));
    if (!answer) return;
    missed = false;
    const limit = limitOf(params);
    found.textContent = `${answer.truncated ? "The first " : ""}${plural(answer.traces.length, "trace")}`;
    more.hidden = !answer.truncated || limit >= MOST;
    picture.hidden = !answer.traces.length;
    list.update(answer.traces, isFiltered(params));
    scatter.update(answer.traces);
    showPause();
  }

  function showPause() {
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? (missed ? "Resume · new data" : "Resume") : "Pause";
  }

  async function toggle() {
    paused = !paused;
    showPause();
    if (!paused) await fetchShown().catch(() => {}); // the next change reports the reason
  }
  pause.addEventListener("click", toggle);
  keys.bind("p", toggle);

  return {
    show: () => (filters.update(), order.update(), fetchShown()),
    async refresh(spans) {
      if (!spans || isPast(route().params) || scatter.busy()) return;
      missed = paused;
      if (paused) showPause();
      else await fetchShown();
    },
    close: scatter.close,
  };
}

/** The page's parameters as the API names them. */
export function query(params) {
  const minimum = parseDuration(params.get("min"));
  const maximum = parseDuration(params.get("max"));
  return {
    from: params.get("from"), to: params.get("to"), q: params.get("q"), service: params.get("service"),
    operation: params.get("operation"), status: params.get("status"), attribute: params.getAll("attribute"),
    min_ns: minimum, max_ns: maximum, order: params.get("order") ?? "newest", limit: limitOf(params),
  };
}

function isFiltered(params) {
  return ["q", "service", "operation", "status", "min", "max", "attribute", "from", "to"].some((name) => params.has(name));
}

function limitOf(params) {
  return Math.min(MOST, Math.max(1, Number(params.get("limit")) || PAGE));
}

/** A range that ended can't gain traces, apart from late ones: nothing to do on a change. */
function isPast(params) {
  const to = params.get("to");
  return /^\d+$/.test(to ?? "") && Number(to) / 1e6 < Date.now() - 60_000;
}

function orderSegments() {
  const make = (order, text) => h("button", { type: "button", "data-order": order, on: { click: () => patch({ order: order === "newest" ? null : order }) } }, text);
  const buttons = [make("newest", "Newest"), make("slowest", "Slowest")];
  const update = () => {
    const now = route().params.get("order") ?? "newest";
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.order === now));
  };
  return { element: h("div", { class: "segments", role: "group", "aria-label": "Order" }, buttons), update };
}
