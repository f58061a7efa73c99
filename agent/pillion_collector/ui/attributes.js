// SPDX-License-Identifier: Apache-2.0
// Attributes grouped by what they tell, in the order a reader asks; and the form in which a value is shown. Pure.

const GROUPS = [
  ["Error", ["error.", "exception."]],
  ["HTTP", ["http.", "url.", "user_agent."]],
  ["Database", ["db."]],
  ["Messaging", ["messaging."]],
  ["RPC", ["rpc."]],
  ["Generative AI", ["gen_ai.", "mcp."]],
  ["Network", ["server.", "client.", "network.", "net.", "peer.", "source.", "destination."]],
  ["Code", ["code.", "thread.", "process.", "cpython."]],
];
const OTHER = "Other";

/** {key: value} → [[title, [[key, value], …]], …], empty groups left out. */
export function grouped(attributes) {
  const found = new Map([...GROUPS.map(([title]) => [title, []]), [OTHER, []]]);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    const title = GROUPS.find(([, prefixes]) => prefixes.some((prefix) => key.startsWith(prefix)))?.[0] ?? OTHER;
    found.get(title).push([key, value]);
  }
  return [...found].filter(([, entries]) => entries.length).map(([title, entries]) => [title, entries.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** A value as text: strings bare, everything else as JSON; bytes as base64 with their size. */
export function shown(value) {
  if (typeof value === "string") return value;
  if (value && typeof value === "object" && Object.keys(value).length === 1) {
    if (typeof value.bytes === "string") return `${value.bytes} (base64)`;
    if (typeof value.double === "string") return value.double;
    if (value.kvlist && typeof value.kvlist === "object") return JSON.stringify(value.kvlist);
  }
  return JSON.stringify(value);
}

/** Whether a search for key=value can find it. */
export function searchable(value) {
  return ["string", "number", "boolean"].includes(typeof value) && String(value).length <= 300;
}
