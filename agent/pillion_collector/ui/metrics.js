// SPDX-License-Identifier: Apache-2.0
// Metrics as the API gives them → charts as a reader wants them: known names first and titled, one chart a name with one
// line for each set of attributes, counters as rates. Pure.

const KNOWN = [
  ["process.cpu.utilization", "CPU"],
  ["process.cpu.time", "CPU time a second"],
  ["process.memory.usage", "Memory"],
  ["process.thread.count", "Threads"],
  ["process.unix.file_descriptor.count", "File descriptors"],
  ["pillion.gc.pause", "GC pauses"],
  ["cpython.gc.collections", "GC collections"],
  ["pillion.event_loop.lag", "Event-loop lag"],
  ["process.context_switches", "Context switches"],
  ["process.disk.io", "Disk I/O"],
  ["process.network.io", "Network I/O"],
  ["process.memory.virtual", "Virtual memory"],
];
const LINES = 8;
const HIDDEN = new Set(["process.uptime"]);

/** [{name, title, unit, series: [{label, points: [[ns as BigInt, value]]}]}] */
export function toCharts(metrics) {
  const byName = new Map();
  for (const metric of metrics) {
    if (HIDDEN.has(metric.name)) continue;
    if (!byName.has(metric.name)) byName.set(metric.name, []);
    byName.get(metric.name).push(metric);
  }
  const rank = (name) => (KNOWN.findIndex(([known]) => known === name) + 1 || KNOWN.length + 1);
  return [...byName].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)).map(([name, group]) => chart(name, group));
}

function chart(name, group) {
  const counter = group.some(isCounter);
  const series = group.slice(0, LINES).map((metric) => {
    const points = metric.points.map(([ns, value]) => [BigInt(ns), Number(value)]).filter(([, value]) => Number.isFinite(value));
    return { label: Object.values(metric.attributes ?? {}).join(" "), points: counter ? rates(points) : points };
  });
  const title = KNOWN.find(([known]) => known === name)?.[1] ?? name;
  const unit = group[0].unit ?? "";
  return { name, title, unit: counter ? `${unit}/s` : unit, series };
}

/** Monotonic sums grow for ever; what a reader wants is how fast. */
function isCounter(metric) {
  if (metric.monotonic !== undefined && metric.monotonic !== null) return Boolean(metric.monotonic);
  return /\.(time|collections|collected_objects|uncollectable_objects|io|operations|faults)$|context_switches$/.test(metric.name);
}

function rates(points) {
  const result = [];
  for (let index = 1; index < points.length; index += 1) {
    const [[t0, a], [t1, b]] = [points[index - 1], points[index]];
    const seconds = Number(t1 - t0) / 1e9;
    if (seconds > 0 && b >= a) result.push([t1, (b - a) / seconds]); // a fall is a restart
  }
  return result;
}
