// SPDX-License-Identifier: Apache-2.0
// One event stream for the page. On `change` what is shown is fetched again: at once when it was quiet, then never before
// the last answer came and some rest has passed. A hidden tab has no stream and does nothing; coming back it catches up.

const REST_MS = 1000; // at least, and always four times as long as the last refresh took
let refresh = async () => {};
let source = null;
let dirty = false;
let running = false;
let timer = 0;
let report = () => {};

/** `work` fetches what is shown; `status` hears "live", "connecting" or "offline". */
export function start(work, status) {
  refresh = work;
  report = status;
  document.addEventListener("visibilitychange", follow);
  follow();
}

function follow() {
  if (document.hidden) {
    source?.close();
    source = null;
    clearTimeout(timer);
    timer = 0;
    return;
  }
  if (source) return;
  connect();
  changed();
}

function connect() {
  report("connecting");
  source = new EventSource("/api/live");
  source.onopen = () => report("live");
  source.onerror = () => report("offline"); // the browser tries again by itself
  source.addEventListener("change", changed);
}

function changed() {
  dirty = true;
  if (!running && !timer) run();
}

async function run() {
  timer = 0;
  if (!dirty || document.hidden) return;
  dirty = false;
  running = true;
  const started = performance.now();
  try {
    await refresh();
  } finally {
    running = false;
    timer = setTimeout(run, Math.max(REST_MS, 4 * (performance.now() - started)));
  }
}
