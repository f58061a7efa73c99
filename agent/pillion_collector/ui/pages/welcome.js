// SPDX-License-Identifier: Apache-2.0
// What is shown before there is data: the command that makes it appear, and what was seen but not instrumented, and why.

import { copyButton, h } from "../dom.js";
import { command, rangeText } from "../parts.js";
import { link } from "../router.js";
import { line } from "../text.js";
import { isInstrumented } from "./why.js";

const RUN = "pillion run -- python app.py";

export function welcome(processes, params) {
  const refused = processes.filter((row) => !isInstrumented(row));
  const traced = processes.filter((row) => isInstrumented(row) && row.alive);
  return h("section", { class: "panel welcome", "aria-label": "No data yet" },
    h("h2", null, traced.length ? "No request has arrived yet" : "No spans yet"),
    traced.length
      ? h("p", null, `${traced.length} instrumented process${traced.length === 1 ? " is" : "es are"} running. As soon as one answers a request, it appears here.`)
      : h("p", null, "Start an application with this command. It needs no change, and its first request appears here by itself:"),
    command(RUN, copyButton(RUN, "Copy the command")),
    h("p", { class: "faint" }, "Anything that speaks OTLP/gRPC works too: send it to the address that ", h("code", null, "pillion up"), " printed, usually 127.0.0.1:4317."),
    h("p", { class: "faint" }, `Range shown: ${rangeText(params).toLowerCase()}. `, h("a", { href: link("services", "", { from: "-7d" }) }, "Look at the last 7 days")),
    refused.length ? reasons(refused) : null);
}

function reasons(processes) {
  return h("div", { class: "refusals" },
    h("h3", null, "Seen, but not instrumented"),
    h("dl", null, processes.slice(0, 12).map((row) => [
      h("dt", null, h("a", { href: link("processes", row.id) }, h("bdi", null, line(row.command, 40)), ` ${row.pid}`)),
      h("dd", null, h("bdi", null, line((row.unmeasured && row.why.means) || row.reason || "no reason was recorded", 300))),
    ])));
}
