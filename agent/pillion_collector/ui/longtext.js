// SPDX-License-Identifier: Apache-2.0
// A value of any length: its beginning, more on request, all of it to the clipboard. A megabyte on one line would freeze
// the layout, so no more than STEP characters are added at a time.

import { copyButton, h } from "./dom.js";
import { bytes } from "./format.js";
import { cut, visible } from "./text.js";

const FIRST = 600;
const STEP = 20_000;

export function longText(text, className) {
  const body = h("span", { class: "text", dir: "auto" });
  const element = h(className === "stack" ? "pre" : "div", { class: `longtext ${className ?? ""}` }, body);
  if (text.length <= FIRST * (className === "stack" ? 8 : 1)) {
    body.textContent = visible(text);
    return element;
  }
  let end = FIRST;
  body.textContent = cut(text, end);
  const more = h("button", { type: "button", class: "quiet" }, `Show more of ${bytes(text.length)}`);
  more.addEventListener("click", () => {
    end += STEP;
    body.textContent = cut(text, end);
    more.hidden = end >= text.length;
  });
  element.append(h("span", { class: "more" }, more, copyButton(text, "Copy the whole value")));
  return element;
}
