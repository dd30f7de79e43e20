// Signing in, where the server has users: name and password for this tab, until it is closed.

import { el } from "./text.js";
import { open } from "./dialogs.js";

const KEY = "jobtrack.credentials";

/** What was written in this tab before it was loaded again. */
export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** Forgets it. */
export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Where nothing can be kept nothing was.
  }
}

/** Keeps it for this tab alone. */
export function remember(credentials) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(credentials));
  } catch {
    // Then it is asked for again when the page is loaded again.
  }
}

/**
 * Asks for name and password. `refused` is the server's answer to the ones before, if there were
 * any. There is no way round it: without them there is nothing to show.
 */
export function ask(refused) {
  const name = el("input", { type: "text", id: "sign-in-name", name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true });
  const password = el("input", { type: "password", id: "sign-in-password", name: "password", autocomplete: "current-password", required: true });
  const fault = el("p", { class: "fault", id: "sign-in-fault", role: "alert" });
  const form = el("form", { class: "sign-in" },
    el("h2", { id: "dialog-title" }, "Sign in"),
    el("p", {}, "This server knows its users."),
    el("label", { for: "sign-in-name" }, "Name"), name,
    el("label", { for: "sign-in-password" }, "Password"), password,
    fault,
    el("div", { class: "dialog-buttons" }, el("button", { type: "submit", class: "primary" }, "Sign in")));
  const dialog = open(form, "sign-in-dialog");
  const last = remembered();
  if (refused) {
    name.value = last?.name ?? "";
    name.setAttribute("aria-describedby", "sign-in-fault");
    // After the dialog is there, so that it is heard.
    setTimeout(() => {
      fault.textContent = `That did not work: ${refused.detail}.`;
    });
    forget();
  }
  (name.value ? password : name).focus();
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const credentials = { name: name.value, password: password.value };
      remember(credentials);
      dialog.close();
      resolve(credentials);
    });
  });
}
