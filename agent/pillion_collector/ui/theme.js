// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system says. A classic script in the head, so that the first paint is already right.
// The choice is kept in localStorage; `themechange` on the document tells canvases to draw again.
"use strict";
(() => {
  const ORDER = ["system", "light", "dark"];
  const LABEL = { system: "as the system", light: "light", dark: "dark" };
  const GLYPH = { system: "◐", light: "○", dark: "●" };

  function stored() {
    try {
      const value = localStorage.getItem("pillion.theme");
      return ORDER.includes(value) ? value : "system";
    } catch {
      return "system"; // storage can be forbidden
    }
  }

  let theme = stored();

  function apply() {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) {
      button.textContent = GLYPH[theme];
      button.title = `Colours: ${LABEL[theme]} (Shift+T)`;
      button.setAttribute("aria-label", `Colours: ${LABEL[theme]}`);
    }
    document.dispatchEvent(new Event("themechange"));
  }

  function next() {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    try {
      localStorage.setItem("pillion.theme", theme);
    } catch {
      // the choice then lasts as long as the page
    }
    apply();
  }

  apply();
  document.addEventListener("DOMContentLoaded", apply);
  document.addEventListener("nexttheme", next);
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#theme")) next();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("themechange")));
})();
