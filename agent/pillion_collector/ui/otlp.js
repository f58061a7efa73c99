// SPDX-License-Identifier: Apache-2.0
// A trace as OTLP JSON (ExportTraceServiceRequest), to be fed to any other tool. It is read anew as text, because JSON
// numbers in a script forget whether they were 5 or 5.0, and lose integers above 2^53.

import { getText } from "./api.js";

const KINDS = { INTERNAL: 1, SERVER: 2, CLIENT: 3, PRODUCER: 4, CONSUMER: 5 };
const STATUS = { unset: 0, ok: 1, error: 2 };

export async function exportTrace(id) {
  const text = await getText(`traces/${encodeURIComponent(id)}`);
  const blob = new Blob([JSON.stringify(toOtlp(text), null, 1)], { type: "application/json" });
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = `trace-${id}.otlp.json`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
}

/** The text of /api/traces/{id} → the request as an object. */
export function toOtlp(text) {
  const trace = JSON.parse(text, (_, value, context) => (typeof value === "number" ? new Figure(context?.source ?? String(value)) : value));
  const resources = new Map();
  for (const span of trace.spans) {
    const resource = String(span.resource_id);
    const scope = JSON.stringify(span.scope ?? {});
    if (!resources.has(resource)) resources.set(resource, new Map());
    const scopes = resources.get(resource);
    if (!scopes.has(scope)) scopes.set(scope, { scope: { name: span.scope?.name ?? "", version: span.scope?.version ?? "" }, spans: [] });
    scopes.get(scope).spans.push(spanOf(trace.trace_id, span));
  }
  return {
    resourceSpans: [...resources].map(([id, scopes]) => ({
      resource: { attributes: pairs(trace.resources?.[id]) },
      scopeSpans: [...scopes.values()],
    })),
  };
}

/** A number as it stood in the text. */
class Figure {
  constructor(source) {
    this.source = source;
  }
  toString() {
    return this.source;
  }
}

function spanOf(traceId, span) {
  const number = (value) => Number(String(value ?? 0));
  const made = {
    traceId, spanId: span.span_id, parentSpanId: span.parent_id ?? "", traceState: span.tracestate || undefined, flags: number(span.flags),
    name: span.name, kind: KINDS[span.kind] ?? 0, startTimeUnixNano: String(span.start_ns),
    endTimeUnixNano: String(BigInt(span.start_ns) + BigInt(String(span.duration_ns))),
    attributes: pairs(span.attributes), droppedAttributesCount: number(span.dropped?.attributes),
    events: (span.events ?? []).map((event) => ({ timeUnixNano: String(event.time_ns), name: event.name, attributes: pairs(event.attributes) })),
    droppedEventsCount: number(span.dropped?.events),
    links: (span.links ?? []).map((to) => ({ traceId: to.trace_id, spanId: to.span_id, attributes: pairs(to.attributes) })),
    droppedLinksCount: number(span.dropped?.links),
    status: span.status === "unset" && !span.status_message ? undefined : { code: STATUS[span.status] ?? 0, message: span.status_message || undefined },
  };
  return made;
}

function pairs(attributes) {
  return Object.entries(attributes ?? {}).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value) {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (value instanceof Figure) return /[.eE]/.test(value.source) ? { doubleValue: Number(value.source) } : { intValue: value.source };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  if (value === null || value === undefined) return {};
  const [name, ...others] = Object.keys(value);
  if (!others.length && name === "bytes" && typeof value.bytes === "string") return { bytesValue: value.bytes };
  if (!others.length && name === "double" && typeof value.double === "string") return { doubleValue: value.double };
  if (!others.length && name === "kvlist" && value.kvlist) return { kvlistValue: { values: pairs(value.kvlist) } };
  return { kvlistValue: { values: pairs(value) } };
}
