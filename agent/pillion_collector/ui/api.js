// SPDX-License-Identifier: Apache-2.0
// The one place that talks to the collector: GET and JSON. A failure becomes an ApiError with a sentence for the reader.

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export function get(path, values, signal) {
  return getText(path, values, signal).then(parse);
}

export async function getText(path, values, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== null && item !== undefined && item !== "") query.append(name, item);
    }
  }
  let response;
  try {
    response = await fetch(`/api/${path}?${query}`, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The collector does not answer. Is `pillion up` running?", 0);
  }
  const text = await response.text();
  if (!response.ok) throw new ApiError(reason(text) ?? `The collector answered ${response.status}.`, response.status);
  return text;
}

function reason(text) {
  try {
    const { error, parameter, setting } = JSON.parse(text);
    const subject = parameter ?? setting;
    return error && (subject ? `${error} (${subject})` : String(error));
  } catch {
    return null;
  }
}

const BIG = /[:[,\s]-?\d{16,}[,\]}\s]/;

/** JSON, but integers that a double can't hold stay exact, as text. */
export function parse(text) {
  if (!BIG.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "") ? context.source : value,
  );
}

/** Calls of one view: a newer one cancels the older, so that answers can't overtake each other. */
export function latest() {
  let controller = null;
  return async (work) => {
    controller?.abort();
    const mine = (controller = new AbortController());
    try {
      const result = await work(mine.signal);
      return mine.signal.aborted ? null : result;
    } catch (error) {
      if (mine.signal.aborted || error.name === "AbortError") return null;
      throw error;
    }
  };
}
