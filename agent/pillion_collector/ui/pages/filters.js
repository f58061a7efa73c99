// SPDX-License-Identifier: Apache-2.0
// Search first, facets after. The form shows what the URL says and writes to the URL; it keeps no state of its own.

import { get, latest } from "../api.js";
import { h } from "../dom.js";
import { parseDuration } from "../format.js";
import { rangeSelect, rangeText } from "../parts.js";
import { patch, range, route } from "../router.js";
import { line } from "../text.js";

const TYPING_MS = 250;

export function createFilters() {
  const times = rangeSelect();
  const fields = makeFields();
  const chips = h("div", { class: "chips", "aria-label": "Active filters" });
  const element = h("form", { role: "search", class: "searchform", on: { submit: (event) => event.preventDefault() } },
    h("div", { class: "search" }, fields.q, times.element),
    h("div", { class: "filters" }, fields.service, fields.operation, fields.operations, fields.status.element, fields.minimum, fields.attribute),
    chips);
  const suggest = suggestions(fields);

  function update() {
    const { params } = route();
    for (const [field, name] of [[fields.q, "q"], [fields.operation, "operation"], [fields.minimum, "min"]]) {
      if (document.activeElement !== field) field.value = params.get(name) ?? "";
    }
    fields.status.update(params);
    times.update();
    showChips(chips, params);
    return suggest(params);
  }
  return { element, update };
}

function makeFields() {
  const q = h("input", { type: "search", placeholder: "Search names, attributes, messages, trace ids", "aria-label": "Search traces", maxlength: 500, on: { input: typed("q") } });
  const service = h("select", { "aria-label": "Service", on: { change: () => patch({ service: service.value, operation: null }) } });
  const operations = h("datalist", { id: "operations" });
  const operation = h("input", { class: "operation", list: "operations", placeholder: "Operation", "aria-label": "Operation", on: { input: typed("operation") } });
  const minimum = h("input", { class: "minimum", placeholder: "≥ 100 ms", "aria-label": "Minimum duration", title: "For example 250ms, 1.5s, 80us; a bare number is milliseconds" });
  minimum.addEventListener("input", () => {
    const bad = minimum.value.trim() !== "" && parseDuration(minimum.value) === null;
    minimum.setAttribute("aria-invalid", String(bad));
    if (!bad) typed("min")({ target: minimum });
  });
  return { q, service, operations, operation, minimum, status: statusSegments(), attribute: attributeField() };
}

/** Writes a field to the URL when the typing rests. */
function typed(name) {
  let timer = 0;
  return ({ target }) => {
    clearTimeout(timer);
    timer = setTimeout(() => patch({ [name]: target.value.trim() }, { replace: true }), TYPING_MS);
  };
}

function attributeField() {
  const field = h("input", { class: "attribute", placeholder: "attribute = value, Enter", "aria-label": "Attribute filter, key=value" });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const [, key, value] = /^\s*([^=]+?)\s*=\s*(.*?)\s*$/s.exec(field.value) ?? [];
    field.setAttribute("aria-invalid", String(!key));
    if (!key) return;
    field.value = "";
    const pair = `${key}=${value}`;
    patch({ attribute: [...new Set([...route().params.getAll("attribute"), pair])] });
  });
  return field;
}

function statusSegments() {
  const make = (status, text) => h("button", { type: "button", "data-status": status, on: { click: () => patch({ status }) } }, text);
  const buttons = [make("", "All"), make("ok", "OK"), make("error", "Errors")];
  const update = (params) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.status === (params.get("status") ?? "")));
  };
  return { element: h("div", { class: "segments", role: "group", "aria-label": "Status" }, buttons), update };
}

/** Names for the service list and the operations, asked once for each choice of service and range. */
function suggestions(fields) {
  const load = latest();
  let known = "";
  return async (params) => {
    const wanted = JSON.stringify([params.get("service"), range(params).from]);
    if (wanted === known) return;
    known = wanted;
    const answer = await load((signal) => Promise.all([get("services", range(params), signal), get("operations", { service: params.get("service") }, signal)])).catch(() => (known = ""));
    if (!answer) return;
    const names = answer[0].services.map((row) => row.name).sort();
    const chosen = params.get("service") ?? "";
    if (chosen && !names.includes(chosen)) names.push(chosen);
    fields.service.replaceChildren(h("option", { value: "" }, "All services"), ...names.map((name) => h("option", { value: name }, line(name, 60))));
    fields.service.value = chosen;
    const unique = [...new Set(answer[1].operations.map((row) => row.name))].slice(0, 200);
    fields.operations.replaceChildren(...unique.map((name) => h("option", { value: name })));
  };
}

function showChips(chips, params) {
  const attributes = params.getAll("attribute");
  const made = attributes.map((pair) => chip(line(pair, 120), () => patch({ attribute: attributes.filter((other) => other !== pair) })));
  const brushed = /^\d+$/.test(params.get("from") ?? "") || params.has("max");
  if (brushed) {
    const slow = params.has("max") ? `, ${line(params.get("min") ?? "0", 20)} to ${line(params.get("max"), 20)}` : "";
    made.push(chip(rangeText(params) + slow, () => patch({ from: null, to: null, min: null, max: null })));
  }
  chips.replaceChildren(...made);
}

function chip(text, remove) {
  return h("span", { class: "chip" }, h("bdi", null, text), h("button", { type: "button", class: "quiet", "aria-label": `Remove filter ${text}`, on: { click: remove } }, "×"));
}
