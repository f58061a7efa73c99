// SPDX-License-Identifier: Apache-2.0
// Composition: the address chooses a page, the page is loaded when first wanted, the live stream refreshes what is shown.
// A page is a module with mount(main) → {show(route), refresh(spans), close()}; both may throw an ApiError. `spans` is false
// when there are new measurements of processes and nothing else.

import { h, replace } from "./dom.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import { go, link, onRoute, range, route } from "./router.js";

const PAGES = {
  services: () => import("./pages/services.js"),
  traces: () => import("./pages/traces.js"),
  trace: () => import("./pages/trace.js"),
  processes: () => import("./pages/processes.js"),
  crashes: () => import("./pages/crashes.js"),
  health: () => import("./pages/health.js"),
};
const NAV_OF = { trace: "traces" };
const RANGED = new Set(["services", "traces", "crashes"]); // pages that show a range of time

const main = document.getElementById("main");
const notice = h("div", { class: "notice", role: "alert", hidden: true });
main.before(notice);
let current = { name: null, page: null };

const nameOf = (to) => (Object.hasOwn(PAGES, to.page) ? to.page : "services");

async function open(to) {
  const name = nameOf(to);
  markNavigation(NAV_OF[name] ?? name, to);
  if (current.name !== name) {
    const mine = (current = { name, page: null });
    const module = await PAGES[name]();
    if (current !== mine) return; // somebody clicked on while it loaded
    const isFirst = !shown;
    close();
    main.className = `page-${name}`;
    mine.page = shown = module.mount(replace(main));
    await attempt(() => mine.page.show(to));
    if (isFirst || current !== mine) return;
    main.focus({ preventScroll: true });
    scrollTo(0, scrolled.get(location.hash) ?? 0);
  } else await attempt(() => current.page?.show(to));
}

let shown = null;
const scrolled = new Map(); // address → how far it was scrolled when it was left
history.scrollRestoration = "manual";
addEventListener("hashchange", (event) => scrolled.set(new URL(event.oldURL).hash, scrollY), { capture: true });

function close() {
  keys.unbindAll();
  shown?.close?.();
  shown = null;
}

async function attempt(work) {
  try {
    await work();
    notice.hidden = true;
  } catch (error) {
    notice.textContent = error.message;
    notice.hidden = false;
    if (!error.status && error.name !== "ApiError" && error.constructor.name !== "ApiError") throw error;
  }
}

/** Times travel with the reader: the range of this page is the range of the next. */
function markNavigation(name, { params }) {
  const titles = { services: "Services", traces: "Traces", processes: "Processes", crashes: "Crashes", health: "Health" };
  document.title = `${titles[name]} · pillion`;
  for (const anchor of document.querySelectorAll("#nav a")) {
    const page = anchor.textContent.trim().toLowerCase();
    anchor.href = link(page, "", RANGED.has(page) ? range(params) : {});
    if (page === name) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

function showStatus(status) {
  const element = document.getElementById("live");
  element.dataset.status = status;
  element.textContent = status;
  element.title = { live: "New data appears by itself", connecting: "Connecting to the collector", offline: "No connection to the collector: what you see may be old" }[status];
}

document.getElementById("help").addEventListener("click", keys.showMap);
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the hash belongs to the router
  main.focus();
});
keys.start({
  "?": keys.showMap,
  T: () => document.dispatchEvent(new Event("nexttheme")),
  "g s": () => go(link("services", "", range(route().params))),
  "g t": () => go(link("traces", "", range(route().params))),
  "g p": () => go(link("processes")),
  "g c": () => go(link("crashes", "", range(route().params))),
  "g h": () => go(link("health")),
  "/": () => document.querySelector("input[type=search]")?.focus() ?? go(link("traces", "", range(route().params))),
  j: () => document.querySelector("tbody tr[tabindex='0'], [role=tree]")?.focus(),
});
PAGES[nameOf(route())]().catch(() => {}); // loads beside the wait for the stream
await live.start((spans) => attempt(() => current.page?.refresh(spans)), showStatus);
onRoute(open);
await open(route());
