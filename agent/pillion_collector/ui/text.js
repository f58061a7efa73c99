// SPDX-License-Identifier: Apache-2.0
// Text from outside, made fit to show: cut to a length, control characters made visible, direction overrides disarmed.
// Natural right-to-left text stays as it is; elements that hold it are isolated by CSS (`unicode-bidi: isolate`).

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** One line for tables and rows: at most `limit` characters, an ellipsis says that more exists. */
export function line(text, limit = 200) {
  return cut(text, limit).replace(/\s+/g, " ");
}

/** Safe to show, line breaks kept. */
export function cut(value, limit) {
  const text = String(value ?? "");
  if (text.length <= limit) return visible(text);
  const end = limit - (isHighSurrogate(text, limit - 1) ? 1 : 0);
  return visible(text.slice(0, end)) + "…";
}

export function visible(text) {
  return text
    .replace(CONTROLS, (c) => String.fromCharCode(c === "\u007f" ? 0x2421 : 0x2400 + c.charCodeAt(0)))
    .replace(DIRECTION, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

function isHighSurrogate(text, index) {
  const code = text.charCodeAt(index);
  return code >= 0xd800 && code < 0xdc00;
}
