// SPDX-License-Identifier: Apache-2.0
// Why a process is instrumented, or not: the collector's look at the machine, joined with the processes it knows.

import { h } from "../dom.js";
import { line } from "../text.js";
import { isInstrumented as isKnownInstrumented } from "./strip_processes.js";

/** The known processes with their reasons, and those that only the look at the machine has found. */
export function joined(processes, answer) {
  const reasons = new Map((answer?.processes ?? []).map((row) => [row.id, row]));
  const known = new Set(processes.map((row) => row.id));
  const living = new Set(processes.filter((row) => row.alive).map((row) => row.pid));
  const rows = processes.map((row) => ({ ...row, why: reasons.get(row.id) ?? null }));
  const others = (answer?.processes ?? []).filter((row) => row.alive && !known.has(row.id) && !living.has(row.pid));
  return [...rows, ...others.map((row) => ({
    id: row.id, pid: row.pid, own_pid: row.own_pid ?? row.pid, service: row.service, instance: null, command: row.command, python: row.python,
    alive: true, started_ns: row.started_ns ?? null, ended_ns: null, exit: null, decision: row.decision, reason: row.reason, cpu: null, memory_bytes: null,
    threads: null, fds: null, parent_pid: row.parent_pid, container: null, spans: 0, unmeasured: true, why: row,
  }))];
}

/** What was seen of it now counts more than what it is known by: nothing else tells of a process without a record. */
export function isInstrumented(row) {
  return row.why && row.why.decision !== "unknown" ? row.why.decision === "injected" : isKnownInstrumented(row);
}

/** Without the reason where all of it is shown beside. */
export function decisionCell(row, { short = false } = {}) {
  if (isInstrumented(row)) return "yes";
  const code = row.why?.code;
  const reason = short && row.why ? "" : row.reason || row.why?.reason;
  const answer = row.why?.decision === "unknown" ? "unknown" : "no";
  return h("bdi", { class: "faint", title: line(reason, 400) },
    answer, code ? h("span", { class: "code" }, ` ${line(code, 40)}`) : null, reason ? `: ${line(reason, 120)}` : null);
}

/** All of it, for the chosen process: the code and what it means, by which evidence, and what to do. */
export function whyPanel(row) {
  const why = row?.why;
  if (!why) return null;
  const lists = [["Evidence", why.evidence], ["Notes", why.notes]];
  return h("section", { class: "why", "aria-label": "Why" },
    h("p", null, h("span", { class: "code" }, line(why.code, 40)), " ", line(why.means, 400)),
    lists.map(([title, texts]) => (texts?.length ? [h("h3", null, title), h("ul", null, texts.map((text) => h("li", { class: "mono" }, h("bdi", null, line(text, 600)))))] : null)),
    why.do ? [h("h3", null, "What to do"), h("p", null, line(why.do, 400))] : null);
}

/** What nobody would look for: programs that are left alone because they crashed, and rules that count for nothing. */
export function troubleOf(answer) {
  const crashed = (answer.crashed ?? []).map((one) => [line(one.program || "every program", 120), ` of ${line(one.exe, 120)} is left alone: it died ${one.deaths.length} times at its start. `, h("code", null, "pillion why --forgive"), " lets it in again."]);
  const rules = (answer.rules ?? []).map((text) => ["Rules: ", h("bdi", null, line(text, 300))]);
  const lines = [...crashed, ...rules];
  return lines.length ? h("ul", { class: "panel trouble", "aria-label": "Needs attention" }, lines.map((parts) => h("li", null, parts))) : null;
}

const CHOICES = [["", "All"], ["yes", "Instrumented"], ["no", "Not instrumented"]];

/** Buttons for `show` in the address; `chosen` tells whether a row is to be seen. */
export function createFilter(choose) {
  const buttons = CHOICES.map(([value, text]) => h("button", { type: "button", on: { click: () => choose(value || null) } }, text));
  let show = "";
  return {
    element: h("div", { class: "segments", role: "group", "aria-label": "Instrumented" }, buttons),
    update(value) {
      show = CHOICES.some(([known]) => known === value) ? value : "";
      buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(CHOICES[index][0] === show)));
    },
    chosen: (row) => !show || isInstrumented(row) === (show === "yes"),
  };
}
