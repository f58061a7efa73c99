// SPDX-License-Identifier: Apache-2.0
// All that is known of one span: times, what failed, attributes by meaning, events, links, resource, and how its process
// was doing at that moment.

import { grouped, searchable, shown } from "../attributes.js";
import { copyButton, h, replace } from "../dom.js";
import { count, duration, percent } from "../format.js";
import { longText } from "../longtext.js";
import { service, time } from "../parts.js";
import { link } from "../router.js";
import { cut, line } from "../text.js";
import { selfTime } from "../tree.js";
import { isUnfinished } from "../waterfall.js";
import { createMoment } from "./moment.js";

const MANY = 200; // attributes, events or links drawn at once

export function createDetail() {
  const moment = createMoment();
  const content = h("div", { class: "content" });
  const element = h("aside", { class: "detail", tabindex: -1, "aria-label": "Span detail" }, content);
  let shownKey = "";

  function show(row, trace, tree) {
    const key = `${trace.trace_id} ${row.span.span_id} ${trace.spans.length}`;
    if (key === shownKey) return;
    shownKey = key;
    element.scrollTop = 0;
    replace(content, headOf(row, tree), failure(row.span), attributes(row.span), events(row, tree), links(row.span), moment.element, about(row.span, trace));
    moment.show(row.span);
  }
  return { element, show, close: moment.close };
}

function headOf(row, tree) {
  const { span } = row;
  const own = selfTime(row);
  const length = row.end - row.start;
  const figures = [
    ["Duration", isUnfinished(span) ? `${duration(length)}, unfinished` : duration(length)],
    ["Self time", length ? `${duration(own)} · ${percent(own / length)}` : duration(own)],
    ["Starts at", `+${duration(row.start)}`],
    ["Clock", time(tree.base + BigInt(Math.round(row.start)))],
    ["Kind", (span.kind ?? "internal").toLowerCase()],
    ["Status", span.status === "error" ? h("span", { class: "error" }, "error") : span.status],
  ];
  return h("header", null,
    service(span.service),
    h("h2", null, h("bdi", null, cut(span.name || "(no name)", 400))),
    h("dl", { class: "figures" }, figures.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))));
}

/** The exception with its stack, else the message of the status. */
function failure(span) {
  const raised = (span.events ?? []).filter((event) => event.name === "exception");
  const cards = raised.slice(-5).map((event) => {
    const { "exception.type": type, "exception.message": message, "exception.stacktrace": stack } = event.attributes ?? {};
    return h("section", { class: "failure", "aria-label": "Exception" },
      h("header", null, h("h3", { class: "error" }, h("bdi", null, line(shown(type ?? "exception"), 200))), stack ? copyButton(shown(stack), "Copy the stack") : null),
      message !== undefined ? longText(shown(message), "message") : null,
      stack !== undefined ? longText(shown(stack), "stack") : null);
  });
  if (!cards.length && span.status === "error") {
    const type = span.attributes?.["error.type"];
    const title = type === undefined ? "Failed" : `Failed: ${line(shown(type), 200)}`;
    const message = span.status_message ? longText(span.status_message, "message") : null;
    cards.push(h("section", { class: "failure", "aria-label": "Error" }, h("h3", { class: "error" }, h("bdi", null, title)), message));
  }
  return cards;
}

function attributes(span) {
  const groups = grouped(span.attributes);
  if (!groups.length) return section("Attributes", h("p", { class: "faint" }, "None."));
  return groups.map(([title, entries]) => section(title, list(entries)));
}

function list(entries, { filter = true } = {}) {
  const rows = entries.slice(0, MANY).map(([key, value]) => {
    const pair = `${key}=${shown(value)}`;
    const find = filter && searchable(value) ? h("a", { class: "find", href: link("traces", "", { attribute: pair }), title: "Traces with this value", "aria-label": `Traces with ${line(pair, 120)}` }, "find") : null;
    return [h("dt", null, h("bdi", null, breakable(line(key, 200)))), h("dd", null, longText(shown(value), /query\.text|statement|stacktrace/.test(key) ? "code" : ""), find)];
  });
  return h("dl", { class: "attributes" }, rows, entries.length > MANY ? h("p", { class: "faint" }, `and ${count(entries.length - MANY)} more`) : null);
}

/** A dotted name that may wrap after its dots and underscores rather than anywhere. */
function breakable(name) {
  return name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);
}

function section(title, ...children) {
  return h("section", { class: "group", "aria-label": title }, h("h3", null, title), children);
}

function folded(title, ...children) {
  return h("details", { class: "group" }, h("summary", null, title), children);
}

function events(row, tree) {
  const found = (row.span.events ?? []).filter((event) => event.name !== "exception");
  if (!found.length) return null;
  return section(`Events (${count(found.length)})`, found.slice(0, MANY).map((event) => {
    const offset = Number(BigInt(event.time_ns) - tree.base) - row.start;
    return h("div", { class: "event" },
      h("p", null, h("bdi", null, line(event.name || "(no name)", 200)), h("span", { class: "faint" }, ` ${offset < 0 ? "−" : "+"}${duration(Math.abs(offset))}`)),
      list(Object.entries(event.attributes ?? {}), { filter: false }));
  }));
}

function links(span) {
  if (!span.links?.length) return null;
  return section(`Links (${count(span.links.length)})`, span.links.slice(0, MANY).map((to) => h("div", { class: "event" },
    h("a", { class: "mono", href: link("trace", to.trace_id, { span: to.span_id }) }, `${line(to.trace_id, 32)} / ${line(to.span_id, 16)}`),
    list(Object.entries(to.attributes ?? {}), { filter: false }))));
}

function about(span, trace) {
  const resource = Object.entries(trace.resources?.[span.resource_id] ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const dropped = Object.entries(span.dropped ?? {}).filter(([, number]) => number);
  const facts = [
    ["span id", span.span_id], ["parent id", span.parent_id ?? "none: a root"], ["flags", `0x${Number(span.flags ?? 0).toString(16).padStart(2, "0")}`],
    ["scope", [span.scope?.name, span.scope?.version].filter(Boolean).join(" ") || "none"],
    ...(span.tracestate ? [["tracestate", span.tracestate]] : []),
    ...dropped.map(([what, number]) => [`dropped ${what}`, number]),
  ];
  return [
    folded(`Resource (${count(resource.length)})`, list(resource, { filter: false })),
    folded("Identity", list(facts, { filter: false })),
  ];
}
