// SPDX-License-Identifier: Apache-2.0
// One hue a service, found from its name alone, so that it is the same in every page, tab and day.
// The reds (hue 0 to 50 and above 350 in OKLCH) are never given away: red means error.

const FIRST = 60;
const STEP = 13;
const STEPS = 22; // 60 … 333

export function hue(name) {
  let hash = 2166136261;
  for (const character of String(name ?? "").slice(0, 200)) {
    hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0;
  }
  hash ^= hash >>> 15;
  return FIRST + STEP * ((Math.imul(hash, 2246822519) >>> 8) % STEPS);
}

/** The property that `.dot`, `.bar` and charts take their colour from. */
export function hueStyle(name) {
  return { "--hue": String(hue(name)) };
}

/** A colour of the theme as a canvas understands it: canvas knows no custom properties. */
export function themeColour(property) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** name → canvas colour, for the theme of this moment. */
export function servicePalette() {
  const root = getComputedStyle(document.documentElement);
  const [light, chroma] = ["--service-light", "--service-chroma"].map((name) => root.getPropertyValue(name).trim());
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, `oklch(${light} ${chroma} ${hue(name)})`);
    return known.get(name);
  };
}
