// SPDX-License-Identifier: Apache-2.0
// The process of a span around its moment: CPU and memory, five minutes to either side, the span marked.
// Asked a little after the selection rests, so that walking with the arrow keys asks nothing.

import { get, latest } from "../api.js";
import { createChart } from "../chart.js";
import { h, replace } from "../dom.js";
import { domainOf, toCharts } from "../metrics.js";
import { link } from "../router.js";
import { line } from "../text.js";

const AROUND_NS = 300_000_000_000n;
const REST_MS = 200;
const NAMES = ["process.cpu.utilization", "process.cpu.time", "process.memory.usage"];

export function createMoment() {
  const load = latest();
  const element = h("section", { class: "group moment", "aria-label": "Its process at that moment", hidden: true });
  let charts = [];
  let timer = 0;

  function clear() {
    clearTimeout(timer);
    for (const chart of charts) chart.close();
    charts = [];
  }

  async function fetchMoment(span) {
    const process = await find(span);
    element.hidden = !process;
    if (!process) return;
    const at = BigInt(span.start_ns);
    const around = { names: NAMES.join(","), from: String(at - AROUND_NS), to: String(at + AROUND_NS) };
    const answer = await load((signal) => get(`processes/${encodeURIComponent(process.id)}/metrics`, around, signal)).catch(() => null);
    if (!answer) return;
    clear();
    const found = toCharts(answer.metrics).filter((chart) => chart.series.some((one) => one.points.length)).slice(0, 2);
    const domain = domainOf(found);
    charts = found.map((data) => createChart({ ...data, domain }, { moment: at, small: true }));
    replace(element, h("h3", null, "Its process at that moment ", h("a", { href: link("processes", process.id) }, line(`${process.command} ${process.pid}`, 60))),
      charts.length ? h("div", { class: "momentcharts" }, charts.map((chart) => chart.element)) : h("p", { class: "faint" }, "No measurements from around that time."));
  }

  async function find(span) {
    if (span.pid === null || span.pid === undefined) return null;
    const answer = await load((signal) => get("processes", {}, signal)).catch(() => null);
    const same = (answer?.processes ?? []).filter((row) => row.pid === span.pid);
    return same.find((row) => row.instance === span.instance) ?? same.find((row) => BigInt(row.started_ns ?? 0) <= BigInt(span.start_ns)) ?? null;
  }

  return {
    element,
    close: clear,
    show(span) {
      clear();
      element.hidden = true;
      timer = setTimeout(() => fetchMoment(span), REST_MS);
    },
  };
}
