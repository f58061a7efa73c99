// SPDX-License-Identifier: Apache-2.0
// The list of found traces: when, what, how long, how many spans and errors, and through which services it went.

import { hueStyle } from "../colour.js";
import { h } from "../dom.js";
import { count, duration } from "../format.js";
import { dot, empty, errors, time } from "../parts.js";
import { link, patch } from "../router.js";
import { createTable } from "../table.js";
import { line } from "../text.js";

const SERVICES = 4;

export function createTraceList() {
  let longest = 1;
  const columns = [
    { key: "time", title: "Start", class: "wide-s", cell: (row) => time(row.start_ns) },
    { key: "root", title: "Root", class: "root", cell: rootCell },
    { key: "duration", title: "Duration", class: "num", cell: (row) => duration(row.duration_ns) },
    { key: "compare", title: "", class: "compare wide-m", cell: (row) => shareBar(row, longest) },
    { key: "spans", title: "Spans", class: "num wide-s", cell: (row) => count(row.spans) },
    { key: "errors", title: "Errors", class: "num", cell: (row) => errors(row.errors) },
    { key: "services", title: "Services", class: "services wide-l", cell: servicesCell },
  ];
  const table = createTable({ label: "Traces", columns, rowKey: (row) => row.trace_id, rowHref: (row) => link("trace", row.trace_id) });
  table.element.classList.add("traces");
  const filtered = empty("No trace matches.", " ", h("button", { type: "button", on: { click: clear } }, "Clear the filters"));
  const nothing = empty("No trace in the last hour. This makes some appear: ", h("code", null, "pillion run -- python app.py"));
  const none = h("div", { hidden: true }, filtered, nothing);

  function update(rows, isFiltered) {
    [filtered.hidden, nothing.hidden] = [!isFiltered, isFiltered];
    longest = Math.max(1, ...rows.map((row) => row.duration_ns));
    for (const row of rows) row.longest = longest; // part of the row's identity: a new scale draws its bar again
    none.hidden = rows.length > 0;
    table.element.hidden = rows.length === 0;
    table.update(rows);
  }
  return { element: table.element, none, update };
}

function clear() {
  patch({ q: null, service: null, operation: null, status: null, min: null, max: null, attribute: null, from: null, to: null });
}

function rootCell(row) {
  const name = line(row.root_name || "(root not received)", 160);
  return h("a", { href: link("trace", row.trace_id), tabindex: -1, title: `${line(row.root_service, 80)}: ${name}` },
    dot(row.root_service), h("bdi", { class: "name" }, name), h("bdi", { class: "of" }, line(row.root_service, 60)));
}

function shareBar(row, longest) {
  return h("i", { class: "share", "aria-hidden": "true", style: { ...hueStyle(row.root_service), width: `${(100 * row.duration_ns) / longest}%` } });
}

function servicesCell(row) {
  const shown = row.services.slice(0, SERVICES).map((part) => h("span", { title: `${line(part.name, 80)}: ${count(part.spans)} spans` }, dot(part.name), h("bdi", null, line(part.name, 30)), count(part.spans)));
  const rest = row.services.length - SERVICES;
  return h("div", { class: "parts" }, shown, rest > 0 ? h("span", null, `+${rest}`) : null);
}
