// Light or dark, as the visitor chose or else as their system has it.
//
// The one script that is no module, so that it runs before the page is first drawn.
"use strict";
(() => {
  const KEY = "jobtrack.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** "light", "dark", or null for the system's. */
  function chosen() {
    try {
      const kept = localStorage.getItem(KEY);
      return kept === "light" || kept === "dark" ? kept : null;
    } catch {
      return null; // Storage may be forbidden; then the choice lasts as long as the page.
    }
  }

  function apply(theme) {
    root.dataset.theme = theme ?? (system.matches ? "dark" : "light");
  }

  let theme = chosen();
  apply(theme);
  system.addEventListener("change", () => apply(theme));

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => {
      const now = root.dataset.theme;
      button.title = `Colours: ${now}${theme ? "" : ", as the system has it"} (t)`;
      button.setAttribute("aria-label", `Colours: ${now}. Switch to ${now === "dark" ? "light" : "dark"}`);
    };
    label();
    system.addEventListener("change", label);
    button.addEventListener("click", () => {
      const other = root.dataset.theme === "dark" ? "light" : "dark";
      // Back to what the system has means to follow it again.
      theme = other === (system.matches ? "dark" : "light") ? null : other;
      try {
        if (theme) localStorage.setItem(KEY, theme);
        else localStorage.removeItem(KEY);
      } catch {
        // As above.
      }
      apply(theme);
      label();
    });
  });
})();
