// SPDX-License-Identifier: Apache-2.0
// One event stream for the page. On `change` what is shown is fetched again: at once when it was quiet, then never before
// the last answer came and some rest has passed. A hidden tab has no stream and does nothing; coming back it catches up.

const REST_MS = 1000; // at least, and always four times as long as the last refresh took
const FIRST_MS = 150; // a first view never waits longer for the stream
const RETRY_MS = 10_000; // after a refusal
let refresh = async () => {};
let source = null;
let dirty = false;
let running = false;
let first = null;
let told = ""; // the last event without its points
let spans = false;
let timer = 0;
let report = () => {};

/**
 * `work(spans)` fetches what is shown, `spans` tells whether more came than measurements of processes; `status` hears
 * "live", "connecting" or "offline". Resolves when the stream has told the
 * state of now, or after FIRST_MS: what is fetched from then on needs no second fetch to be sure that nothing was missed.
 */
export function start(work, status) {
  refresh = work;
  report = status;
  document.addEventListener("visibilitychange", follow);
  follow();
  return new Promise((resolve) => {
    first = resolve;
    setTimeout(resolve, FIRST_MS);
    setTimeout(() => (first = null), FIRST_MS);
  });
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
}

function connect() {
  report("connecting");
  const stream = (source = new EventSource("/api/live"));
  stream.onopen = () => report("live"); // the first event tells the state of now: nothing is missed
  stream.addEventListener("change", changed);
  stream.onerror = () => {
    report("offline");
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => again(stream), RETRY_MS); // else it retries by itself
  };
}

/** Refused (the collector has too many listeners, or a proxy answers for it): ask again later. */
function again(stream) {
  if (source !== stream) return;
  source = null;
  follow();
}

function changed(event) {
  const { points, ...rest } = JSON.parse(event.data);
  spans ||= JSON.stringify(rest) !== told;
  told = JSON.stringify(rest);
  if (first) {
    spans = false;
    first();
    first = null;
    return;
  }
  dirty = true;
  if (!running && !timer) run();
}

async function run() {
  timer = 0;
  if (!dirty || document.hidden) return;
  const withSpans = spans;
  dirty = spans = false;
  running = true;
  const started = performance.now();
  try {
    await refresh(withSpans);
  } finally {
    running = false;
    timer = setTimeout(run, Math.max(REST_MS, 4 * (performance.now() - started)));
  }
}
