// SPDX-License-Identifier: Apache-2.0
// One hue a service, found from its name alone, so that it is the same in every page, tab and day. Two depths of each
// hue make doubles rarer. The reds (below 65 and above 325 in OKLCH) are never given away: red means error.

const HUES = [70, 92, 125, 150, 175, 200, 228, 255, 280, 302, 322]; // as far apart as the eye tells them
const SEED = 148099; // with it, names that are often seen (web, api, worker, auth, catalog, orders, …) all differ
const DEEPER = 0.14;

/** {hue, deep} of a name. */
export function tone(name) {
  let hash = SEED;
  for (const character of String(name ?? "").slice(0, 200)) hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b); // the low bits of a short name's hash are poor: mix well
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = (hash ^ (hash >>> 16)) >>> 0;
  return { hue: HUES[hash % HUES.length], deep: Boolean((hash >>> 16) & 1) };
}

/** The property --service that dots, bars and charts take their colour from; lightness and chroma are the theme's. */
export function hueStyle(name) {
  const { hue, deep } = tone(name);
  return { "--service": `oklch(calc(var(--service-light) - ${deep ? DEEPER : 0}) var(--service-chroma) ${hue})` };
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
    if (!known.has(name)) {
      const { hue, deep } = tone(name);
      known.set(name, `oklch(${Number(light) - (deep ? DEEPER : 0)} ${chroma} ${hue})`);
    }
    return known.get(name);
  };
}
