// SPDX-License-Identifier: Apache-2.0
// The first screen: what runs here, is it well, what is slow, what failed. Services, newest and slowest traces, processes.

import { get, latest } from "../api.js";
import { h } from "../dom.js";
import { count, duration, percent, rate } from "../format.js";
import { morph } from "../morph.js";
import { panel, rangeSelect, service, time } from "../parts.js";
import { link, patch, range, route } from "../router.js";
import { latencyRange, sparkline } from "../spark.js";
import { createTable } from "../table.js";
import { processStrip } from "./strip_processes.js";
import { traceStrip } from "./strip_traces.js";
import { welcome } from "./welcome.js";
import { joined } from "./why.js";

const STRIP = 8;

export function mount(main) {
  const load = latest();
  const times = rangeSelect();
  const table = servicesTable();
  const summary = h("p", { class: "summary" });
  const services = h("div", { class: "scroll" }, table.element);
  const [newest, slowest, processes] = [h("div"), h("div"), h("div")];
  const strips = h("div", { class: "strips" },
    panel("Newest traces", { tools: more("newest") }, newest),
    panel("Slowest traces", { tools: more("slowest") }, slowest),
    panel("Processes", { hint: "CPU of one core, memory", tools: h("a", { href: link("processes") }, "All") }, processes));
  const hello = h("div", { hidden: true });
  main.append(h("div", { class: "head" }, h("h1", null, "Services"), summary, times.element), hello, panel(null, { label: "Services" }, services), strips);

  async function refresh() {
    const span = range(route().params);
    const answers = await load((signal) => Promise.all([
      get("services", span, signal),
      get("traces", { ...span, limit: STRIP, order: "newest" }, signal),
      get("traces", { ...span, limit: STRIP, order: "slowest" }, signal),
      get("processes", {}, signal),
    ]));
    if (!answers) return;
    // What else runs on this machine is of interest only as long as there is nothing to show.
    const why = answers[0].services.length ? null : await load((signal) => get("why", {}, signal));
    if (why || answers[0].services.length) render(...answers, why);
  }

  function render(answer, fresh, slow, nodes, why) {
    const nothing = !answer.services.length;
    hello.hidden = !nothing;
    services.parentElement.hidden = nothing;
    strips.hidden = nothing;
    if (nothing) return void (morph(hello, welcome(joined(nodes.processes, why), route().params)), (summary.textContent = ""));
    summary.textContent = summarise(answer.services);
    table.scale(answer.services);
    table.update(answer.services, sortOf(route().params));
    morph(newest, traceStrip(fresh.traces));
    morph(slowest, traceStrip(slow.traces));
    morph(processes, processStrip(nodes.processes));
  }

  return { refresh: async (spans) => spans && refresh(), show: () => (times.update(), updateLinks(strips), refresh()) };
}

function more(order) {
  return h("a", { "data-order": order }, "All");
}

function updateLinks(strips) {
  for (const anchor of strips.querySelectorAll("a[data-order]")) {
    const order = anchor.dataset.order;
    anchor.href = link("traces", "", { ...range(route().params), order: order === "newest" ? null : order });
  }
}

function summarise(services) {
  const sum = (name) => services.reduce((total, row) => total + row[name], 0);
  const requests = sum("requests");
  const failed = requests ? sum("errors") / requests : 0;
  return `${services.length} service${services.length === 1 ? "" : "s"} · ${rate(sum("rate"))} · ${failed ? `${percent(failed)} errors` : "no errors"}`;
}

function sortOf(params) {
  const text = params.get("sort") ?? "-rate";
  return { key: text.replace(/^-/, ""), descending: text.startsWith("-") };
}

function onSort(key) {
  const now = sortOf(route().params);
  const first = key === "name" ? key : `-${key}`;
  patch({ sort: now.key === key ? (now.descending ? key : `-${key}`) : first }, { replace: true });
}

function servicesTable() {
  let [low, high] = [1, 2];
  const numeric = (key, title, cell, hint, extra = "") => ({ key, title, hint, class: `num ${extra}`, cell, sort: (row) => row[key] });
  const columns = [
    { key: "name", title: "Service", class: "main", cell: nameCell, sort: (row) => row.name },
    numeric("rate", "Rate", (row) => rate(row.rate), "Requests a second, mean over the range"),
    { key: "spark", title: "Requests", class: "wide-s", cell: (row) => sparkline(row.sparkline ?? [], row.name) },
    numeric("error_rate", "Errors", errorCell, "Share of requests that failed"),
    numeric("p50_ns", "p50", (row) => duration(row.p50_ns), "Half of the requests are faster", "wide-s"),
    numeric("p95_ns", "p95", (row) => duration(row.p95_ns), "95 % of the requests are faster"),
    numeric("p99_ns", "p99", (row) => duration(row.p99_ns), "99 % of the requests are faster", "wide-s"),
    { key: "latency", title: "p50 – p95 – p99", hint: "On one logarithmic scale for all services", class: "wide-m", cell: (row) => latencyRange(row, low, high) },
    numeric("instances", "Instances", (row) => count(row.instances), "Processes that sent spans", "wide-m"),
    { key: "last_ns", title: "Last span", class: "num wide-l", cell: (row) => time(row.last_ns, "s"), sort: (row) => Number(row.last_ns) },
  ];
  const table = createTable({ label: "Services", columns, onSort, rowKey: (row) => row.name, rowHref: (row) => tracesOf(row) });
  table.scale = (rows) => {
    low = Math.max(1, Math.min(...rows.map((row) => row.p50_ns)));
    high = Math.max(...rows.map((row) => row.p99_ns), low * 2);
    for (const row of rows) row.scale = [low, high]; // part of the row's identity: a new scale draws all again
  };
  return table;
}

function tracesOf(row, status) {
  return link("traces", "", { ...range(route().params), service: row.name, status });
}

function nameCell(row) {
  return h("a", { href: tracesOf(row), tabindex: -1 }, service(row.name));
}

function errorCell(row) {
  if (!row.errors) return h("span", { class: "faint" }, "0");
  return h("a", { class: "error", href: tracesOf(row, "error"), tabindex: -1, title: `${count(row.errors)} of ${count(row.requests)} requests` }, percent(row.error_rate));
}
