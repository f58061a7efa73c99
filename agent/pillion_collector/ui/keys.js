// SPDX-License-Identifier: Apache-2.0
// The keyboard map: one table of what exists, shown by `?`. Single keys never fire while somebody types.

import { h } from "./dom.js";

const MAP = [
  ["Anywhere", [["?", "this map"], ["g then s, t, p, c, h", "services, traces, processes, crashes, health"], ["/", "search"], ["Shift+T", "light, dark, as the system"], ["Esc", "close, leave a field, go up"]]],
  ["Lists", [["↑ ↓ or j k", "move"], ["Enter", "open"], ["p", "pause or resume the live list"]]],
  ["Trace", [["↑ ↓ or j k", "previous, next span"], ["→", "expand, then first child"], ["←", "collapse, then parent"], ["Enter", "go to the span's detail"], ["e", "next error"], ["z", "zoom to the span, or out"], ["c", "copy the trace id"]]],
];

const bindings = new Map();
let prefix = "";

/** bind("p", fn): for the page that is shown; unbindAll when it closes. */
export function bind(key, action) {
  bindings.set(key, action);
}

export function unbindAll() {
  bindings.clear();
}

export function start(global) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.("dialog")) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const key = prefix + event.key;
    prefix = event.key === "g" && !prefix ? "g " : "";
    const action = bindings.get(key) ?? global[key];
    if (!action) return;
    event.preventDefault();
    prefix = "";
    action(event);
  });
}

function typing(target) {
  return target.matches?.("input, select, textarea, [contenteditable]");
}

export function showMap() {
  document.querySelector("dialog.keys")?.remove();
  const groups = MAP.map(([title, rows]) =>
    h("section", null, h("h3", null, title), h("dl", null, rows.map(([keys, what]) => [h("dt", null, keys), h("dd", null, what)]))),
  );
  const close = h("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
  const dialog = h("dialog", { class: "keys", "aria-label": "Keyboard map" }, h("h2", null, "Keyboard"), h("div", { class: "columns" }, groups), close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
