// SPDX-License-Identifier: Apache-2.0
// Metrics as the API gives them → charts as a reader wants them: known names first and titled, one chart a name with one
// line for each set of attributes; counters as rates, histograms as the mean of each interval. Pure.

const KNOWN = [
  ["process.cpu.time", "CPU, of one core"],
  ["process.cpu.utilization", "CPU, of all cores"],
  ["process.memory.usage", "Memory"],
  ["process.thread.count", "Threads"],
  ["pillion.thread.count", "Python threads"],
  ["process.unix.file_descriptor.count", "File descriptors"],
  ["pillion.gc.pause", "GC pause, mean"],
  ["cpython.gc.collections", "GC collections"],
  ["pillion.eventloop.lag", "Event-loop lag, mean"],
  ["process.context_switches", "Context switches"],
  ["process.disk.io", "Disk I/O"],
  ["process.disk.operations", "Disk operations"],
  ["process.network.io", "Network I/O"],
  ["process.memory.virtual", "Virtual memory"],
  ["process.paging.faults", "Page faults"],
];
const LINES = 8;
const HIDDEN = ["process.uptime"];

/** [{name, title, unit, additive, series: [{label, points: [[ns as BigInt, value]]}]}] */
export function toCharts(metrics) {
  const byName = new Map();
  for (const metric of metrics) {
    if (!byName.has(metric.name)) byName.set(metric.name, []);
    byName.get(metric.name).push(metric);
  }
  const hidden = byName.has("process.cpu.time") ? [...HIDDEN, "process.cpu.utilization"] : HIDDEN; // the same in other units
  const wanted = [...byName].filter(([name]) => !hidden.includes(name));
  const rank = (name) => KNOWN.findIndex(([known]) => known === name) + 1 || KNOWN.length + 1;
  return wanted.sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)).map(([name, group]) => chart(name, group));
}

/** [first, last] of all points, so that charts side by side share one axis of time; null without points. */
export function domainOf(charts) {
  const times = charts.flatMap((chart) => chart.series.flatMap((one) => one.points.map(([ns]) => ns)));
  return times.length ? times.reduce(([low, high], ns) => [ns < low ? ns : low, ns > high ? ns : high], [times[0], times[0]]) : null;
}

function chart(name, group) {
  const histogram = group.some((metric) => metric.kind === "histogram");
  const counter = !histogram && group.some((metric) => metric.monotonic);
  const series = group.slice(0, LINES).map((metric) => {
    const points = metric.points.map(([ns, value, count]) => [BigInt(ns), Number(value), Number(count ?? 1)]).filter(([, value]) => Number.isFinite(value));
    const label = Object.values(metric.attributes ?? {}).join(" ");
    return { label, points: histogram ? means(points) : counter ? rates(points) : points.map(([ns, value]) => [ns, value]) };
  });
  const title = KNOWN.find(([known]) => known === name)?.[1] ?? name;
  const unit = group[0].unit ?? "";
  return { name, title, unit: counter ? `${unit}/s` : unit, additive: counter, series };
}

/** Monotonic sums grow for ever; what a reader wants is how fast. A fall is a restart: no rate across it. */
function rates(points) {
  return between(points, ([t0, a], [t1, b]) => {
    const seconds = Number(t1 - t0) / 1e9;
    return seconds > 0 && b >= a ? [t1, (b - a) / seconds] : null;
  });
}

/** Cumulative sum and count: the mean of what came between two points. */
function means(points) {
  return between(points, ([, a, m], [t1, b, n]) => (n > m && b >= a ? [t1, (b - a) / (n - m)] : null));
}

function between(points, make) {
  const result = [];
  for (let index = 1; index < points.length; index += 1) {
    const point = make(points[index - 1], points[index]);
    if (point) result.push(point);
  }
  return result;
}
