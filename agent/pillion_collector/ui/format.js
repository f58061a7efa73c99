// SPDX-License-Identifier: Apache-2.0
// Numbers and times for people: units always, three significant digits at most, times in the reader's zone.
// Pure functions; nanoseconds since the epoch come and go as BigInt or decimal strings, durations as numbers.

const NB = "\u00a0"; // unit and number never part

/** 0.01234 → 0.0123, 12 → 12.0, 1234 → 1230: three digits, never an exponent in the range that occurs. */
export function digits(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 100) return String(Number(value.toPrecision(3)));
  if (size < 0.0001) return value.toExponential(1);
  return value.toPrecision(3);
}

/** A value with a prefix table [[factor, unit], …] in rising order. */
function scaled(value, table) {
  if (value === null || value === undefined || !Number.isFinite(Number(value))) return "–";
  const number = Number(value);
  const rounded = Math.abs(Number(number.toPrecision(3)));
  let [factor, unit] = table[0];
  for (const [step, name] of table) if (rounded >= step) [factor, unit] = [step, name];
  return digits(number / factor) + (unit ? NB + unit : "");
}

const DURATIONS = [[1, "ns"], [1e3, "µs"], [1e6, "ms"], [1e9, "s"], [6e10, "min"], [3.6e12, "h"], [8.64e13, "d"]];
const COUNTS = [[1, ""], [1e3, "k"], [1e6, "M"], [1e9, "G"]];
const SIZES = [[1, "B"], [1024, "KiB"], [1024 ** 2, "MiB"], [1024 ** 3, "GiB"], [1024 ** 4, "TiB"]];

export function duration(ns) {
  return ns !== null && Number(ns) === 0 ? "0" : scaled(ns, DURATIONS);
}

/** Whole numbers are exact below a thousand. */
export function count(value) {
  const number = Number(value ?? NaN);
  return Number.isInteger(number) && Math.abs(number) < 1000 ? String(number) : scaled(number, COUNTS);
}

/** "1 span", "1.20 k spans" */
export function plural(number, word) {
  return `${count(number)}${NB}${word}${Number(number) === 1 ? "" : "s"}`;
}

export function bytes(value) {
  const number = Number(value ?? NaN);
  return Number.isInteger(number) && Math.abs(number) < 1000 ? `${number}${NB}B` : scaled(number, SIZES);
}

export function rate(perSecond) {
  const text = scaled(perSecond, COUNTS);
  return text === "–" ? text : `${text}${text.includes(NB) ? "" : NB}/s`;
}

export function percent(fraction) {
  const value = Number(fraction ?? NaN) * 100;
  if (value > 0 && value < 0.01) return `<0.01${NB}%`;
  return Number.isFinite(value) ? `${value === 0 ? "0" : digits(value)}${NB}%` : "–";
}

/** A value of a metric by its UCUM unit. */
export function byUnit(value, unit) {
  if (unit === "By") return bytes(value);
  if (unit === "By/s") return `${bytes(value)}/s`;
  if (unit === "s") return duration(value * 1e9);
  if (unit === "ms") return duration(value * 1e6);
  if (unit === "1") return percent(value);
  if (unit === "s/s") return percent(value);
  return (unit ?? "").endsWith("/s") ? rate(value) : count(value); // {thread}, {file_descriptor}: the title names them
}

const pad = (value, width = 2) => String(value).padStart(width, "0");

/** Wall clock in the reader's zone; the date only when it is not today. */
export function clock(ns, parts = "ms") {
  const date = new Date(milliseconds(ns));
  if (Number.isNaN(date.getTime())) return "–";
  let text = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  if (parts !== "min") text += `:${pad(date.getSeconds())}`;
  if (parts === "ms") text += `.${pad(date.getMilliseconds(), 3)}`;
  return date.toDateString() === new Date().toDateString() ? text : `${day(date)} ${text}`;
}

const day = (date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;

/** UTC with all nine digits, for the hover. */
export function utc(ns) {
  try {
    const value = BigInt(ns);
    const date = new Date(Number(value / 1000000n)).toISOString().slice(0, 19).replace("T", " ");
    return `${date}.${pad(value % 1000000000n, 9)} UTC`;
  } catch {
    return "";
  }
}

export function milliseconds(ns) {
  return Number(ns) / 1e6;
}

/** "1.5s", "200 ms", "40" (ms) → ns; null when it is no duration. */
export function parseDuration(text) {
  const match = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(ns|us|µs|ms|s|min|m|h)?\s*$/i.exec(text ?? "");
  if (!match) return null;
  const unit = { us: "µs", m: "min" }[match[2]?.toLowerCase()] ?? match[2]?.toLowerCase() ?? "ms";
  return Math.round(Number(match[1]) * DURATIONS.find(([, name]) => name === unit)[0]);
}

/** What is left of a decision to show: how a process ended. */
export function ending(process) {
  if (process.alive) return "running";
  if (process.hidden && !process.exit) return "not to be seen from here";
  const exit = process.exit ?? {};
  if (exit.signal !== undefined) return `killed by ${SIGNALS[exit.signal] ?? `signal ${exit.signal}`}${exit.oom ? ", out of memory" : ""}`;
  if (exit.code !== undefined) return exit.code === 0 ? "ended, code 0" : `failed, code ${exit.code}`;
  return "ended, exit unknown";
}

const SIGNALS = { 1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM" };
