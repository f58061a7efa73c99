// SPDX-License-Identifier: Apache-2.0
// A table whose rows are kept while their data stays the same, so that focus, selection and scroll survive live updates.
// Rows are one tab stop: arrows or j/k move, Enter or a click opens, sorting is by the buttons in the head.

import { h, replace } from "./dom.js";
import { morphNode } from "./morph.js";
import { go } from "./router.js";

/** columns: [{key, title, hint?, class?, cell(row) → nodes, sort?(row) → value}] */
export function createTable({ label, columns, rowKey, rowHref, rowClass, onSort }) {
  const body = h("tbody");
  const heads = columns.map((column) => head(column, onSort));
  const element = h("table", { "aria-label": label }, h("thead", null, h("tr", null, heads)), body);
  const known = new Map();

  function update(rows, sort) {
    markSort(columns, heads, sort);
    const focused = document.activeElement?.closest?.("tr") ?? null;
    const seen = new Set();
    const elements = sorted(rows, columns, sort).map((row) => {
      const key = rowKey(row);
      seen.add(key);
      return keep(known, key, row, () => rowElement(row, columns, rowHref, rowClass));
    });
    for (const key of known.keys()) if (!seen.has(key)) known.delete(key);
    place(body, elements);
    const stop = elements.includes(focused) ? focused : elements[0];
    for (const tr of elements) tr.tabIndex = tr === stop ? 0 : -1;
    if (focused && focused !== document.activeElement && elements.includes(focused)) focused.focus({ preventScroll: true });
  }

  body.addEventListener("keydown", (event) => move(event, body));
  body.addEventListener("focusin", (event) => {
    for (const tr of body.children) tr.tabIndex = tr === event.target.closest("tr") ? 0 : -1;
  });
  return { element, update };
}

function head(column, onSort) {
  const props = { class: column.class, scope: "col", title: column.hint };
  if (!column.sort) return h("th", props, column.title);
  return h("th", props, h("button", { type: "button", on: { click: () => onSort(column.key) } }, column.title));
}

function markSort(columns, heads, sort) {
  columns.forEach((column, index) => {
    if (!column.sort) return;
    const direction = sort?.key === column.key ? (sort.descending ? "descending" : "ascending") : "none";
    heads[index].setAttribute("aria-sort", direction);
  });
}

function sorted(rows, columns, sort) {
  const value = columns.find((column) => column.key === sort?.key)?.sort;
  if (!value) return rows;
  const sign = sort.descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
  });
}

/** The element of before, made to show the row's data of now; a new one for a new row. */
function keep(known, key, row, make) {
  const data = JSON.stringify(row);
  const old = known.get(key);
  if (old?.data === data) return old.element;
  const element = old ? morphRow(old.element, make()) : make();
  known.set(key, { data, element });
  return element;
}

function morphRow(old, fresh) {
  fresh.tabIndex = old.tabIndex;
  if (old.hasAttribute("aria-selected")) fresh.setAttribute("aria-selected", old.getAttribute("aria-selected"));
  morphNode(old, fresh);
  return old;
}

/** Puts `elements` into `body` in order and touches only what differs. */
function place(body, elements) {
  const wanted = new Set(elements);
  for (const child of [...body.children]) if (!wanted.has(child)) child.remove();
  elements.forEach((element, index) => {
    if (body.children[index] !== element) body.insertBefore(element, body.children[index] ?? null);
  });
}

function rowElement(row, columns, rowHref, rowClass) {
  const href = rowHref?.(row);
  const tr = h("tr", { class: rowClass?.(row), tabindex: -1 });
  for (const column of columns) replaceCell(tr, column, row);
  if (!href) return tr;
  tr.dataset.href = href;
  tr.classList.add("opens");
  tr.addEventListener("click", (event) => {
    if (event.target.closest("a, button") || String(getSelection())) return;
    if (event.ctrlKey || event.metaKey) open(tr.dataset.href);
    else go(tr.dataset.href);
  });
  return tr;
}

function replaceCell(tr, column, row) {
  tr.append(replace(h("td", { class: column.class }), column.cell(row)));
}

function move(event, body) {
  const row = event.target.closest("tr");
  if (event.target !== row || event.ctrlKey || event.metaKey || event.altKey) return;
  const to = { ArrowDown: row.nextElementSibling, j: row.nextElementSibling, ArrowUp: row.previousElementSibling, k: row.previousElementSibling, Home: body.firstElementChild, End: body.lastElementChild };
  if (Object.hasOwn(to, event.key)) {
    event.preventDefault();
    to[event.key]?.focus();
  } else if (event.key === "Enter" && row.dataset.href) {
    event.preventDefault();
    go(row.dataset.href);
  }
}
