// SPDX-License-Identifier: Apache-2.0
// The node's Python processes: service by service, children below their parents, instrumented or why not, how they ended.
// One of them chosen (#/processes/<id>) shows its charts above the list. Also those that nothing of pillion is in.

import { get, latest } from "../api.js";
import { h } from "../dom.js";
import { bytes, count, ending, percent } from "../format.js";
import { morph } from "../morph.js";
import { empty, panel, service, time } from "../parts.js";
import { link, patch, route } from "../router.js";
import { createTable } from "../table.js";
import { line } from "../text.js";
import { createProcess } from "./process.js";
import { createFilter, decisionCell, isInstrumented, joined, troubleOf } from "./why.js";

export function mount(main) {
  const load = latest();
  const summary = h("p", { class: "summary" });
  const table = processTable();
  const one = createProcess();
  const none = empty("No Python process of this node is known yet. Start one with ", h("code", null, "pillion run -- python app.py"));
  none.hidden = true;
  const trouble = h("div");
  const filter = createFilter((show) => patch({ show }));
  main.append(h("div", { class: "head" }, h("h1", null, "Processes"), summary, filter.element), trouble, one.element, panel(null, { label: "Processes" }, h("div", { class: "scroll" }, table.element), none));

  async function refresh() {
    const answer = await load((signal) => Promise.all([get("processes", {}, signal), get("why", {}, signal)]));
    if (!answer) return;
    const all = joined(answer[0].processes, answer[1]);
    const { part, params } = route();
    morph(trouble, troubleOf(answer[1]));
    filter.update(params.get("show") ?? "");
    const rows = arrange(all.filter(filter.chosen));
    summary.textContent = summarise(all);
    none.hidden = rows.length > 0;
    table.element.hidden = rows.length === 0;
    for (const row of rows) row.chosen = row.id === part;
    table.update(rows);
    for (const tr of table.element.tBodies[0].rows) tr.setAttribute("aria-selected", String(tr.dataset.href === addressOf({ id: part })));
    await one.show(all.find((row) => row.id === part) ?? null, part);
  }
  return { show: refresh, refresh, close: one.close };
}

function summarise(rows) {
  if (!rows.length) return "";
  const alive = rows.filter((row) => row.alive);
  const traced = alive.filter(isInstrumented).length;
  return `${alive.length} running, ${traced} instrumented · ${rows.length - alive.length} ended`;
}

/** Alive before ended, by service, each child right below its parent. */
function arrange(processes) {
  const text = (row) => `${row.service ? 0 : 1} ${row.service ?? row.command}`;
  const order = (a, b) => b.alive - a.alive || text(a).localeCompare(text(b)) || a.pid - b.pid;
  const byPid = new Map(processes.filter((row) => row.alive).map((row) => [row.pid, row]));
  const children = new Map();
  const roots = [];
  for (const row of [...processes].sort(order)) {
    const parent = byPid.get(row.parent_pid);
    if (!row.alive || !parent || parent === row || parent.service !== row.service) roots.push(row);
    else children.set(parent, [...(children.get(parent) ?? []), row]);
  }
  const rows = [];
  const pending = roots.reverse().map((row) => [row, 0]);
  while (pending.length) {
    const [row, depth] = pending.pop();
    rows.push(Object.assign(row, { depth }));
    for (const child of (children.get(row) ?? []).reverse()) pending.push([child, depth + 1]);
  }
  return rows;
}

function processTable() {
  const columns = [
    { key: "service", title: "Service", class: "main", cell: nameCell },
    { key: "pid", title: "PID", class: "num", cell: (row) => row.pid },
    { key: "container", title: "Container", class: "wide-m", cell: containerCell },
    { key: "command", title: "Command", class: "wide-m", cell: (row) => [h("bdi", null, line(row.command, 40)), row.python ? h("span", { class: "faint" }, ` ${line(row.python, 20)}`) : null] },
    { key: "cpu", title: "CPU", class: "num", hint: "Of one core", cell: (row) => (row.alive ? percent(row.cpu) : "–") },
    { key: "memory", title: "Memory", class: "num", cell: (row) => (row.alive ? bytes(row.memory_bytes) : "–") },
    { key: "threads", title: "Threads", class: "num wide-s", cell: (row) => (row.alive ? count(row.threads) : "–") },
    { key: "fds", title: "Files", class: "num wide-m", hint: "Open file descriptors", cell: (row) => (row.alive ? count(row.fds) : "–") },
    { key: "spans", title: "Spans", class: "num wide-s", cell: (row) => count(row.spans) },
    { key: "decision", title: "Instrumented", class: "reason wide-s", cell: (row) => decisionCell(row) },
    { key: "state", title: "State", class: "wide-s", cell: stateCell },
    { key: "started", title: "Started", class: "num wide-l", cell: (row) => (row.started_ns ? time(row.started_ns, "s") : "–") },
  ];
  return createTable({ label: "Processes", columns, rowKey: (row) => row.id, rowHref: (row) => addressOf(row) });
}

/** The filter stays while one after another is looked at. */
function addressOf(row) {
  return link("processes", row.id, { show: route().params.get("show") });
}

function nameCell(row) {
  const name = row.service ? service(row.service) : h("span", { class: "service" }, h("i", { class: "dot none", "aria-hidden": "true" }), h("bdi", { class: "faint" }, line(row.command, 40)));
  return h("a", { href: addressOf(row), tabindex: -1, class: row.depth ? "child" : null, style: row.depth ? { "margin-left": `${Math.min(row.depth, 6) * 14 - 14}px` } : {} }, name);
}

export function containerCell(row) {
  return row.container ? h("bdi", { class: "mono", title: line(row.container, 64) }, line(row.container.slice(0, 12), 12)) : "–";
}

export function stateCell(row) {
  const bad = !row.alive && (row.exit?.signal !== undefined || (row.exit?.code ?? 0) !== 0);
  const how = row.crash ? h("a", { href: link("crashes", row.id, { from: "-24h" }), tabindex: -1, class: "error" }, ending(row)) : ending(row);
  return h("span", { class: bad ? "error" : row.alive ? null : "faint" }, how, row.ended_ns ? [" ", time(row.ended_ns, "s")] : null);
}
