// SPDX-License-Identifier: Apache-2.0
// One trace: head, minimap, waterfall, and beside it the detail of the chosen span. Span and zoom are part of the URL.

import { get, latest } from "../api.js";
import { copyButton, h, replace } from "../dom.js";
import { duration, plural } from "../format.js";
import * as keys from "../keys.js";
import { createMinimap } from "../minimap.js";
import { exportTrace } from "../otlp.js";
import { empty, service, time } from "../parts.js";
import { go, lastOf, patch, route } from "../router.js";
import { line } from "../text.js";
import { buildTree } from "../tree.js";
import { createWaterfall } from "../waterfall.js";
import { createDetail } from "./detail.js";

const FIRST_SCREEN = 20; // rows in which an error is chosen rather than the root
const YOUNG_MS = 60_000; // a trace this fresh may still gain spans

export function mount(main) {
  const load = latest();
  const head = h("div", { class: "tracehead" });
  const detail = createDetail();
  const waterfall = createWaterfall({ onSelect: chosen, onOpen: () => detail.element.focus() });
  const minimap = createMinimap((view) => patch({ view: view[0] === 0 && view[1] === 1 ? null : view.map((part) => part.toFixed(4)).join("-") }, { replace: true }));
  const left = h("div", { class: "left" }, minimap.element, waterfall.element);
  const body = h("div", { class: "tracebody" }, left, detail.element);
  main.append(head, body);
  const state = { id: null, trace: null, tree: null, view: [0, 1] };

  function chosen(row) {
    detail.show(row, state.trace, state.tree);
    patch({ span: row.span.span_id }, { replace: true });
  }

  async function fetchTrace() {
    const { part: id } = route();
    const trace = await load((signal) => get(`traces/${encodeURIComponent(id)}`, {}, signal)).catch((error) => {
      if (error.status === 404 || error.status === 400) return missing(id, error);
      throw error;
    });
    if (!trace || (state.id === id && trace.spans.length === state.trace?.spans.length)) return;
    const started = performance.now();
    Object.assign(state, { id, trace, tree: buildTree(trace) });
    render();
    performance.measure("trace", { start: started, end: performance.now() }); // from answer to rows, for who wants to know
  }

  function missing(id, error) {
    Object.assign(state, { id, trace: null, tree: null });
    body.hidden = true;
    replace(head, h("a", { href: lastOf("traces"), class: "back" }, "← Traces"), empty(`${error.message} `, h("code", null, line(id, 64))));
    return null;
  }

  function render() {
    body.hidden = false;
    document.title = `${line(state.tree.rows[0]?.span.name || "Trace", 60)} · pillion`;
    replace(head, headOf(state.trace, state.tree, waterfall.nextError));
    waterfall.update(state.tree);
    minimap.update(state.tree);
    applyUrl();
  }

  function applyUrl() {
    const { params } = route();
    state.view = viewOf(params.get("view"));
    minimap.zoom(state.view);
    waterfall.zoom(state.view);
    const wanted = state.tree.rows.find((row) => row.span.span_id === params.get("span"));
    const row = wanted ?? state.tree.rows.slice(0, FIRST_SCREEN).find((candidate) => candidate.failed) ?? state.tree.rows[0];
    if (row && row !== waterfall.selected()) {
      waterfall.select(row, { tell: false });
      detail.show(row, state.trace, state.tree);
    }
  }

  function zoomToSpan() {
    const row = waterfall.selected();
    if (!row) return;
    const total = state.tree.duration;
    const own = [row.start / total, Math.min(1, Math.max(row.end / total, row.start / total + 0.002))];
    patch({ view: route().params.has("view") ? null : own.map((part) => part.toFixed(4)).join("-") }, { replace: true });
  }

  const onTree = (key, action) => keys.bind(key, () => state.tree && action());
  onTree("e", () => waterfall.nextError());
  onTree("z", zoomToSpan);
  onTree("c", () => head.querySelector(".copy")?.click());
  keys.bind("Escape", () => (document.activeElement === detail.element ? waterfall.element.focus() : go(lastOf("traces"))));
  for (const key of ["ArrowDown", "ArrowUp", "j", "k"]) onTree(key, () => (waterfall.element.focus(), waterfall.selected() && waterfall.element.dispatchEvent(new KeyboardEvent("keydown", { key }))));

  return {
    show: () => (route().part === state.id && state.tree ? applyUrl() : fetchTrace()),
    refresh: async (spans) => {
      const age = state.tree ? Date.now() - (Number(state.tree.base) + state.tree.duration) / 1e6 : 0;
      if (spans && age < YOUNG_MS) await fetchTrace();
    },
    close: () => (waterfall.close(), minimap.close(), detail.close()),
  };
}

function viewOf(text) {
  const [from, to] = (text ?? "").split("-").map(Number);
  return from >= 0 && to <= 1 && to > from ? [from, to] : [0, 1];
}

function headOf(trace, tree, nextError) {
  const root = tree.rows[0];
  const names = [...new Set(tree.rows.map((row) => row.span.service))];
  const download = h("button", { type: "button", on: { click: () => exportTrace(trace.trace_id) } }, "Export OTLP JSON");
  return [
    h("div", { class: "titles" },
      h("a", { href: lastOf("traces"), class: "back", "aria-label": "Back to the traces" }, "← Traces"),
      h("h1", null, h("bdi", null, line(root?.span.name || "(no name)", 160))),
      h("span", { class: "tools" }, h("code", { class: "id" }, trace.trace_id), copyButton(trace.trace_id, "Copy the trace id (c)"), download)),
    h("div", { class: "sums" },
      h("span", null, h("b", null, duration(tree.duration))),
      h("span", null, time(tree.base)),
      h("span", { title: String(tree.rows.length) }, plural(tree.rows.length, "span")),
      tree.errors ? h("button", { type: "button", class: "error quiet", title: "Next error (e)", on: { click: nextError } }, `${plural(tree.errors, "error")} ↓`) : null,
      h("span", { class: "names" }, names.slice(0, 12).map(service), names.length > 12 ? `+${names.length - 12}` : null)),
  ];
}
