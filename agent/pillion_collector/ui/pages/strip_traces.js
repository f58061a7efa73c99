// SPDX-License-Identifier: Apache-2.0
// A short list of traces for the first screen: one line each, the bar compares durations within the list.

import { hueStyle } from "../colour.js";
import { h } from "../dom.js";
import { count, duration } from "../format.js";
import { dot, empty, time } from "../parts.js";
import { link } from "../router.js";
import { line } from "../text.js";

export function traceStrip(traces) {
  if (!traces.length) return empty("No traces in this range of time.");
  const longest = Math.max(1, ...traces.map((trace) => trace.duration_ns));
  return h("ol", { class: "strip" }, traces.map((trace) => h("li", null, row(trace, longest))));
}

function row(trace, longest) {
  const share = Math.max(1, (100 * trace.duration_ns) / longest);
  const failed = trace.status === "error" || trace.errors > 0;
  return h("a", { href: link("trace", trace.trace_id), class: failed ? "failed" : null },
    dot(trace.root_service),
    h("bdi", { class: "name", title: line(`${trace.root_service}: ${trace.root_name}`, 300) }, line(trace.root_name || "(root not received)", 120)),
    failed ? h("span", { class: "error", title: `${count(trace.errors)} failed spans` }, "error") : null,
    h("span", { class: "when" }, time(trace.start_ns, "s")),
    h("span", { class: "took" }, duration(trace.duration_ns)),
    h("i", { class: "share", "aria-hidden": "true", style: { ...hueStyle(trace.root_service), width: `${share}%` } }));
}
