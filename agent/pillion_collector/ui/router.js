// SPDX-License-Identifier: Apache-2.0
// Where we are is the URL and nothing else: #/page/part?parameters. Any view can be bookmarked, shared, and gone back to.

const listeners = new Set();
const visited = new Map(); // page → the address at which it was last seen

/** {page, part, params} of the address now. */
export function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page, ...rest] = path.split("/");
  return { page: page || "services", part: decode(rest.join("/")), params: new URLSearchParams(query ?? "") };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** An address; empty values are left out, arrays repeat the name. */
export function link(page, part, values) {
  const params = values instanceof URLSearchParams ? values : write(new URLSearchParams(), values ?? {});
  const query = params.toString();
  return `#/${page}${part ? `/${encodeURIComponent(part)}` : ""}${query ? `?${query}` : ""}`;
}

function write(params, values) {
  for (const [name, value] of Object.entries(values)) {
    params.delete(name);
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "") params.append(name, String(item));
    }
  }
  return params;
}

export function go(address) {
  location.hash = address;
}

/** Change some parameters and stay on the page. Typing replaces the entry in the history, a choice adds one. */
export function patch(values, { replace = false } = {}) {
  const { page, part, params } = route();
  const address = link(page, part, write(params, values));
  if (address === location.hash) return;
  if (!replace) return go(address);
  history.replaceState(null, "", address);
  announce();
}

/** The time range goes along from page to page. */
export function range(params) {
  return { from: params.get("from"), to: params.get("to") };
}

export function onRoute(listener) {
  visited.set(route().page, location.hash || link("services"));
  listeners.add(listener);
}

/** Back to a page as it was left, filters included. */
export function lastOf(page) {
  return visited.get(page) ?? link(page);
}

function announce() {
  visited.set(route().page, location.hash);
  for (const listener of listeners) listener(route());
}

addEventListener("hashchange", announce);
