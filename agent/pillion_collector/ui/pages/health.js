// SPDX-License-Identifier: Apache-2.0
// Pillion's own ledger: recorded = stored + dropped (by reason) + waiting, process by process, and the collector's part.

import { get, latest } from "../api.js";
import { h } from "../dom.js";
import { bytes, count, duration } from "../format.js";
import { morph } from "../morph.js";
import { empty, panel, service } from "../parts.js";
import { link } from "../router.js";
import { createTable } from "../table.js";
import { line } from "../text.js";

export function mount(main) {
  const load = latest();
  const verdict = h("p", { class: "summary", role: "status" });
  const facts = h("dl", { class: "facts" });
  const refused = h("div");
  const table = ledger();
  const none = empty("No instrumented process has reported yet.");
  main.append(h("div", { class: "head" }, h("h1", null, "Health of pillion"), verdict),
    panel("Collector", {}, facts, refused), panel("Ledger of each process", {}, h("div", { class: "scroll" }, table.element), none));

  async function refresh() {
    const answer = await load((signal) => get("stats", {}, signal));
    if (!answer) return;
    const { collector, processes, total: all } = answer;
    const lost = total(all.dropped) + total(collector.refused);
    const even = all.balanced ? "" : " · the ledger of a process does not balance";
    verdict.textContent = (lost ? `${count(lost)} spans dropped or refused, all counted below` : "Nothing dropped, nothing refused") + even;
    morph(facts, figures(collector));
    morph(refused, reasons(collector.refused));
    none.hidden = processes.length > 0;
    table.element.hidden = !processes.length;
    table.update(processes);
  }
  return { show: refresh, refresh };
}

const total = (reasons) => Object.values(reasons ?? {}).reduce((sum, number) => sum + Number(number), 0);

const ITEMS = { __proto__: null, traces: "spans", metrics: "points" }; // what a signal's items are called

/** A number, or numbers by kind (spans, points, logs): as facts to show. */
function byKind(title, value) {
  if (value === null || typeof value !== "object") return [[title, count(value ?? 0), value]];
  const entries = Object.entries(value).filter(([kind]) => kind !== "bytes");
  return entries.length ? entries.map(([kind, number]) => [`${title} ${ITEMS[kind] ?? line(kind, 20)}`, count(number), number]) : [[title, "0", 0]];
}

function figures(collector) {
  const values = [
    ...byKind("Received", collector.received), ...byKind("Stored", collector.stored),
    ["Refused", count(total(collector.refused)), total(collector.refused)], ...byKind("Waiting", collector.queue),
    ["Duplicates", count(collector.duplicates ?? 0), collector.duplicates], ["Adopted rings", count(collector.adopted ?? 0), collector.adopted],
    ["On disk", bytes(collector.store_bytes), `${collector.store_bytes} bytes`], ["Up for", duration(Number(collector.uptime_s) * 1e9), ""], ["Version", line(collector.version, 30), ""],
  ];
  return values.map(([name, text, exact]) => h("div", null, h("dt", null, name), h("dd", { class: "figure", title: String(exact ?? "") }, text)));
}

function reasons(dropped) {
  const entries = Object.entries(dropped ?? {}).filter(([, number]) => Number(number));
  if (!entries.length) return null;
  return h("p", { class: "refused-list" }, "Refused: ", entries.map(([reason, number], index) => `${index ? ", " : ""}${line(reason, 60)} ${count(number)}`));
}

function ledger() {
  const number = (key, title, hint, extra = "") => ({ key, title, hint, class: `num ${extra}`, cell: (row) => h("span", { title: String(row[key] ?? "") }, count(row[key])) });
  const columns = [
    { key: "service", title: "Process", class: "main", cell: (row) => h("a", { href: link("processes", row.id), tabindex: -1 }, service(row.service), h("span", { class: "faint after" }, row.pid)) },
    number("recorded", "Recorded", "Spans that ended in the process"),
    number("stored", "Stored", "Committed to the store"),
    number("waiting", "Waiting", "In the process's ring", "wide-s"),
    { key: "dropped", title: "Dropped", class: "num", cell: droppedCell },
    { key: "balance", title: "Balance", class: "num wide-s", hint: "recorded − stored − dropped − waiting", cell: balanceCell },
  ];
  return createTable({ label: "Ledger", columns, rowKey: (row) => row.id, rowHref: (row) => link("processes", row.id) });
}

function droppedCell(row) {
  const entries = Object.entries(row.dropped ?? {}).filter(([, number]) => Number(number));
  if (!entries.length) return h("span", { class: "faint" }, "0");
  return h("span", { class: "error" }, entries.map(([reason, number], index) => `${index ? ", " : ""}${count(number)} ${line(reason, 40).replaceAll("_", " ")}`));
}

function balanceCell(row) {
  if (row.balanced === null || row.balanced === undefined) return "–";
  const rest = row.recorded - row.stored - total(row.dropped) - row.waiting;
  return row.balanced ? h("span", { class: "faint" }, "even") : h("span", { class: "error", title: `${rest} unexplained` }, count(rest));
}
