// SPDX-License-Identifier: Apache-2.0
// The waterfall: virtual rows, only what is on the screen exists as elements, so that 100,000 spans scroll as 50 do.
// It is one tab stop (role tree, aria-activedescendant); arrows move and fold as in a tree.

import { hueStyle } from "./colour.js";
import { h } from "./dom.js";
import { count, duration } from "./format.js";
import { visibleRows } from "./tree.js";
import { line } from "./text.js";

const SPARE = 6; // rows above and below the screen
const INDENT = 13; // px a level, less where the trace is deep
const GAPS = 60; // most self-time parts drawn in a bar

/** onSelect(row), onOpen(row): Enter. */
export function createWaterfall({ onSelect, onOpen }) {
  const sheet = h("div", { class: "sheet" });
  const element = h("div", { class: "waterfall", role: "tree", tabindex: 0, "aria-label": "Spans" }, sheet);
  const state = { tree: null, shown: [], collapsed: new Set(), selected: null, view: [0, 1], height: 26, drawn: "" };

  function refold() {
    state.shown = visibleRows(state.tree.rows, state.collapsed);
    state.height = matchMedia("(max-width: 760px)").matches ? 42 : 26;
    sheet.style.height = `${state.shown.length * state.height}px`;
    draw(true);
  }

  function draw(force) {
    if (!state.tree) return;
    const first = Math.max(0, Math.floor(element.scrollTop / state.height) - SPARE);
    const last = Math.min(state.shown.length, Math.ceil((element.scrollTop + element.clientHeight) / state.height) + SPARE);
    const drawn = `${first} ${last}`;
    if (!force && drawn === state.drawn) return;
    state.drawn = drawn;
    sheet.replaceChildren(...state.shown.slice(first, last).map((row, offset) => rowElement(row, first + offset, state)));
    mark();
  }

  function mark() {
    if (state.selected) element.setAttribute("aria-activedescendant", `span-${state.selected.index}`);
    for (const item of sheet.children) item.setAttribute("aria-selected", String(item.id === `span-${state.selected?.index}`));
  }

  function select(row, { reveal = true, tell = true } = {}) {
    if (!row) return;
    state.selected = row;
    if (reveal) show(row);
    mark();
    if (tell) onSelect(row);
  }

  function show(row) {
    let unfolded = false;
    for (let up = row.parent; up >= 0; up = state.tree.rows[up].parent) unfolded = state.collapsed.delete(up) || unfolded;
    if (unfolded) refold();
    const top = state.shown.indexOf(row) * state.height;
    const bottom = top + state.height - element.clientHeight;
    const far = top < element.scrollTop - state.height || bottom > element.scrollTop + state.height;
    if (far) element.scrollTop = (top + bottom) / 2; // a jump: into the middle
    else if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop) element.scrollTop = bottom;
    draw();
  }

  function fold(row, closed) {
    if (!row.children.length || state.collapsed.has(row.index) === closed) return false;
    if (closed) state.collapsed.add(row.index);
    else state.collapsed.delete(row.index);
    refold();
    return true;
  }

  function step(by) {
    const at = state.shown.indexOf(state.selected);
    select(state.shown[Math.min(state.shown.length - 1, Math.max(0, at + by))]);
  }

  const actions = {
    ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
    PageDown: () => step(Math.floor(element.clientHeight / state.height)), PageUp: () => step(-Math.floor(element.clientHeight / state.height)),
    Home: () => select(state.shown[0]), End: () => select(state.shown.at(-1)),
    ArrowRight: () => fold(state.selected, false) || (state.selected.children.length && step(1)),
    ArrowLeft: () => fold(state.selected, true) || select(state.tree.rows[state.selected.parent]),
    Enter: () => onOpen(state.selected),
  };
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(actions, event.key) || !state.shown.length) return;
    event.preventDefault();
    if (!state.selected) select(state.shown[0]);
    else actions[event.key]();
  });
  element.addEventListener("click", (event) => {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    const row = state.tree.rows[Number(item.id.slice(5))];
    if (event.target.closest(".twisty")) fold(row, !state.collapsed.has(row.index));
    else select(row, { reveal: false });
  });
  let frame = 0;
  element.addEventListener("scroll", () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw()))), { passive: true });
  const watcher = new ResizeObserver(() => {
    element.parentElement?.style.setProperty("--scrollbar", `${element.offsetWidth - element.clientWidth}px`);
    if (state.tree) refold();
  });
  watcher.observe(element);

  return {
    element, select, close: () => watcher.disconnect(), selected: () => state.selected,
    update(tree) {
      const folded = new Set([...state.collapsed].map((index) => state.tree.rows[index].span.span_id));
      state.collapsed = new Set(tree.rows.filter((row) => folded.has(row.span.span_id)).map((row) => row.index));
      state.tree = tree;
      const deepest = tree.rows.reduce((most, row) => Math.max(most, row.depth), 1);
      sheet.style.setProperty("--indent", `min(${INDENT}px, calc(var(--label) * 0.45 / ${deepest}))`);
      refold();
    },
    zoom: (view) => ((state.view = view), draw(true)),
    nextError() {
      const { rows } = state.tree;
      const from = (state.selected?.index ?? -1) + 1;
      select([...rows.slice(from), ...rows.slice(0, from)].find((row) => row.failed));
    },
  };
}

function rowElement(row, position, state) {
  const closed = state.collapsed.has(row.index);
  const name = line(row.span.name || "(no name)", 160);
  const open = isUnfinished(row.span);
  const label = `${name}, ${line(row.span.service, 60)}, ${duration(row.end - row.start)}${open ? ", unfinished" : ""}${row.failed ? ", error" : ""}`;
  return h("div", {
    id: `span-${row.index}`, class: `row${row.failed ? " failed" : ""}${open ? " unfinished" : ""}`, role: "treeitem", "aria-label": label, "aria-level": row.depth + 1,
    "aria-expanded": row.children.length ? String(!closed) : null, style: { top: `${position * state.height}px`, ...hueStyle(row.span.service) },
  }, labelCell(row, closed, name, state.tree), laneCell(row, state));
}

/** Its process was gone before it ended: the bar has no end of its own. */
export const isUnfinished = (span) => span.attributes?.["pillion.unfinished"] === true;

function labelCell(row, closed, name, tree) {
  const changes = row.parent < 0 || tree.rows[row.parent].span.service !== row.span.service;
  const hidden = closed ? row.failedBelow : 0;
  return h("div", { class: "label", style: { "--depth": String(row.depth) } },
    h("span", { class: "twisty", "aria-hidden": "true" }, row.children.length ? (closed ? "▸" : "▾") : ""),
    h("i", { class: "dot" }),
    changes ? h("bdi", { class: "of" }, line(row.span.service, 40)) : null,
    h("bdi", { class: "name", title: name }, name),
    closed ? h("span", { class: "hidden-count" }, `+${count(row.size - 1)}`) : null,
    row.orphan ? h("span", { class: "orphan", title: "Its parent has not been received" }, "no parent") : null,
    isUnfinished(row.span) ? h("span", { class: "orphan", title: "Its process ended before it did" }, "unfinished") : null,
    row.failed || hidden ? h("span", { class: "mark error", title: row.failed ? "error" : `${count(hidden)} errors inside` }, "●") : null);
}

function laneCell(row, { tree, view: [from, to] }) {
  const scale = 100 / ((to - from) * tree.duration);
  const left = (row.start - from * tree.duration) * scale;
  const width = (row.end - row.start) * scale;
  const bar = h("div", { class: "bar", style: { left: `${left}%`, width: `${width}%` } });
  bar.style.setProperty("--self", gradient(row.self, row));
  if (row.critical.length) bar.append(h("i", { class: "critical", style: { background: gradient(row.critical, row, "var(--text)") } }));
  const end = left + width;
  const took = duration(row.end - row.start);
  if (left >= 100) return h("div", { class: "lane" }, h("span", { class: "took", style: { right: "0" } }, `${took} →`));
  if (end < 0) return h("div", { class: "lane" }, h("span", { class: "took", style: { left: "0" } }, `← ${took}`));
  const place = end < 86 ? { left: `${Math.max(0, end)}%` } : left > 14 ? { right: `${100 - Math.min(100, left)}%` } : { right: "0" };
  return h("div", { class: "lane" }, bar, h("span", { class: `took${end >= 86 && left <= 14 ? " inside" : ""}`, style: place }, took));
}

/** A background that is solid in the given parts of a row's time. */
function gradient(segments, row, colour = "var(--solid)") {
  const length = Math.max(1, row.end - row.start);
  const stops = segments.slice(-GAPS).sort((a, b) => a[0] - b[0]).flatMap(([from, to]) => {
    const [a, b] = [from, to].map((ns) => ((100 * (ns - row.start)) / length).toFixed(2));
    return [`transparent ${a}%`, `${colour} ${a}%`, `${colour} ${b}%`, `transparent ${b}%`];
  });
  return stops.length ? `linear-gradient(90deg, ${stops.join(", ")})` : "none";
}
