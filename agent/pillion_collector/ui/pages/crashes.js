// SPDX-License-Identifier: Apache-2.0
// Processes that did not end in order: how, in which requests, after which spans, and whether anything was lost with them.

import { get, latest } from "../api.js";
import { h } from "../dom.js";
import { count, duration, ending } from "../format.js";
import { morph } from "../morph.js";
import { empty, rangeSelect, service, time } from "../parts.js";
import { link, range, route } from "../router.js";
import { line } from "../text.js";

export function mount(main) {
  const load = latest();
  const times = rangeSelect();
  const summary = h("p", { class: "summary", role: "status" });
  const list = h("div", { class: "crashes" });
  main.append(h("div", { class: "head" }, h("h1", null, "Crashes"), summary, times.element), list);

  async function refresh() {
    const { params, part } = route();
    const answer = await load((signal) => get("crashes", { ...range(params), service: params.get("service") }, signal));
    if (!answer) return;
    const { crashes, truncated } = answer;
    summary.textContent = crashes.length ? `${truncated ? "The latest " : ""}${count(crashes.length)} ${crashes.length === 1 ? "process" : "processes"}` : "";
    const chosen = crashes.filter((one) => one.id === part);
    const others = crashes.filter((one) => one.id !== part);
    morph(list, crashes.length ? [...chosen.map((one) => panelOf(one, true)), ...others.map((one) => panelOf(one, false))] : empty("No process crashed in this range of time."));
  }
  return { show: () => (times.update(), refresh()), refresh: async (spans) => spans && refresh() };
}

function panelOf(one, chosen) {
  const lived = duration(Number(BigInt(one.ended_ns) - BigInt(one.began_ns)));
  return h("section", { class: `panel crash${chosen ? " chosen" : ""}`, "aria-label": `Process ${one.pid}` },
    h("header", null,
      h("h2", null, service(one.service || one.command), h("a", { class: "after", href: link("processes", one.id) }, one.pid), one.container ? h("bdi", { class: "faint after mono", title: line(one.container, 64) }, line(one.container.slice(0, 12), 12)) : null, h("span", { class: "error after" }, ending(one))),
      h("div", { class: "tools" }, h("span", { class: "faint" }, `after ${lived}`), time(one.ended_ns, "s"))),
    table("Requests under way", one.requests.map((request) => requestRow(request, one))),
    table("Last spans", one.last_spans.map(spanRow)),
    h("p", { class: one.balanced ? "ledger faint" : "ledger error" }, ledger(one)));
}

function table(title, rows) {
  if (!rows.length) return null;
  return h("div", { class: "scroll" }, h("table", { "aria-label": title }, h("caption", null, title), h("tbody", null, rows)));
}

function requestRow(request, { ended_ns: end }) {
  const took = Number(BigInt(end) - BigInt(request.start_ns));
  return h("tr", null,
    h("td", { class: "main" }, spanLink(request), request.detail ? h("bdi", { class: "faint after" }, line(request.detail, 120)) : null),
    h("td", { class: "wide-s faint" }, line(request.kind.toLowerCase(), 20)),
    h("td", { class: "num" }, h("span", { class: "error", title: "It never ended" }, `for ${duration(Math.max(0, took))}`)));
}

function spanRow(span) {
  return h("tr", null,
    h("td", { class: "main" }, spanLink(span), span.status === "error" ? h("span", { class: "error after" }, "error") : null),
    h("td", { class: "wide-s faint" }, time(span.start_ns)),
    h("td", { class: "num" }, duration(span.duration_ns)));
}

function spanLink(span) {
  return h("a", { href: link("trace", span.trace_id, { span: span.span_id }) }, h("bdi", null, line(span.name || "(no name)", 120)));
}

function ledger(one) {
  const lost = Object.entries(one.dropped).filter(([, number]) => Number(number));
  const text = `${count(one.recorded)} spans recorded, ${count(one.stored)} stored`;
  return lost.length ? `${text}, lost: ${lost.map(([reason, number]) => `${line(reason, 30).replaceAll("_", " ")} ${count(number)}`).join(", ")}` : text;
}
