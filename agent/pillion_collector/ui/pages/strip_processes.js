// SPDX-License-Identifier: Apache-2.0
// The node's processes in short: the busiest that are alive, and how many were seen but not instrumented, with reasons.

import { h } from "../dom.js";
import { bytes, percent } from "../format.js";
import { dot, empty } from "../parts.js";
import { link } from "../router.js";
import { line } from "../text.js";

const SHOWN = 8;

export function processStrip(processes) {
  const alive = processes.filter((row) => row.alive);
  const traced = alive.filter(isInstrumented).sort((a, b) => (b.cpu ?? 0) - (a.cpu ?? 0));
  const others = alive.filter((row) => !isInstrumented(row));
  if (!alive.length) return empty("No Python process of this node is known yet.");
  const shown = SHOWN - Math.min(others.length, 3);
  const rest = traced.length - shown;
  return [
    h("ol", { class: "strip" }, traced.slice(0, shown).map((row) => h("li", null, busy(row)))),
    rest > 0 ? h("p", { class: "faint" }, `and ${rest} more`) : null,
    others.length ? h("ol", { class: "strip refused", "aria-label": "Not instrumented" }, others.slice(0, 3).map((row) => h("li", null, refused(row)))) : null,
  ];
}

/** Told so at its start, or known by its spans: a forked worker takes no decision of its own. */
export function isInstrumented(process) {
  return process.decision === "injected" || (process.decision !== "not" && Boolean(process.service));
}

function busy(row) {
  return h("a", { href: link("processes", row.id) },
    dot(row.service),
    h("bdi", { class: "name" }, line(row.service || row.command, 60), h("span", { class: "faint" }, ` ${row.pid}`)),
    h("span", { class: "when", title: "CPU, of one core" }, percent(row.cpu)),
    h("span", { class: "took", title: "Memory" }, bytes(row.memory_bytes)));
}

function refused(row) {
  return h("a", { href: link("processes", row.id) },
    h("i", { class: "dot none", "aria-hidden": "true" }),
    h("bdi", { class: "name" }, line(row.command, 40), h("span", { class: "faint" }, ` ${row.pid}`)),
    h("bdi", { class: "why", title: line(row.reason, 300) }, line(row.reason || "not instrumented", 90)));
}
