// SPDX-License-Identifier: Apache-2.0
// One process: what it is, whether it is instrumented, how it ended, and a chart for each of its metrics.

import { get, latest } from "../api.js";
import { createChart } from "../chart.js";
import { h } from "../dom.js";
import { count } from "../format.js";
import { domainOf, toCharts } from "../metrics.js";
import { morph } from "../morph.js";
import { empty, time } from "../parts.js";
import { link } from "../router.js";
import { line } from "../text.js";
import { containerCell, stateCell } from "./processes.js";
import { decisionCell, whyPanel } from "./why.js";

export function createProcess() {
  const load = latest();
  const facts = h("dl", { class: "facts" });
  const why = h("div");
  const charts = h("div", { class: "charts" });
  const none = empty("No measurements yet: they come every few seconds.");
  const title = h("h2");
  const element = h("section", { class: "panel", "aria-label": "Chosen process", hidden: true },
    h("header", null, title, h("div", { class: "tools" }, h("a", { href: link("processes") }, "Close"))), facts, why, charts, none);
  const drawn = new Map();

  function clear() {
    for (const chart of drawn.values()) chart.close();
    drawn.clear();
    charts.replaceChildren();
  }

  let shown = "";
  let unmeasured = false; // nothing of pillion is in it, and no metric of it is kept
  async function show(row, id) {
    element.hidden = !id;
    if (!id) return clear();
    if (shown !== id) clear();
    shown = id;
    title.textContent = row ? `${line(row.service || row.command, 60)} · ${row.pid}` : `${line(id, 40)} is not known`;
    morph(facts, row ? factsOf(row) : null);
    morph(why, whyPanel(row));
    unmeasured = Boolean(row?.unmeasured);
    if (unmeasured) return draw([]);
    const answer = row && (await load((signal) => get(`processes/${encodeURIComponent(id)}/metrics`, {}, signal)));
    if (answer || !row) draw(answer ? toCharts(answer.metrics) : []);
  }

  function draw(found) {
    const filled = found.filter((data) => data.series.some((one) => one.points.length));
    none.hidden = filled.length > 0 || unmeasured;
    const domain = domainOf(filled);
    for (const data of filled.map((one) => ({ ...one, domain }))) {
      if (drawn.has(data.name)) drawn.get(data.name).update(data);
      else {
        drawn.set(data.name, createChart(data));
        charts.append(drawn.get(data.name).element);
      }
    }
  }
  return { element, show, close: clear };
}

function factsOf(row) {
  const facts = [
    ["Command", line(row.command, 60)], ["Python", line(row.python || "unknown", 30)], ["Started", row.started_ns ? time(row.started_ns, "s") : "unknown"], ["State", stateCell(row)],
    ["Instrumented", decisionCell(row, { short: true })], ["Parent", row.parent_pid ?? "unknown"], ["Container", containerCell(row)], ["Spans", row.service ? h("a", { href: link("traces", "", { service: row.service }) }, count(row.spans)) : count(row.spans)],
    ["Instance", h("span", { class: "mono" }, line(row.instance || "–", 40))],
  ];
  if (row.own_pid && row.own_pid !== row.pid) facts.push(["PID in its container", row.own_pid]);
  if (row.hidden) facts.push(["Measured", "no: it lives in a pid namespace that the collector doesn't see; run it with the node's (pid: host)"]);
  else if (row.denied?.length) facts.push(["Not to be read", row.denied.map((part) => line(part, 20)).join(", ")]);
  return facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)));
}
