// Questions and help, in the browser's own dialogs: they keep the focus, and Escape closes them.

import { el, say } from "./text.js";

const ACTIONS = {
  cancel: { title: "Cancel this job?", does: "Cancel the job", says: "It ends as a failure with cause canceled; that cannot be undone.", isGrave: true },
  pause: { title: "Pause this job?", does: "Pause", says: "It stays where it is until somebody resumes it." },
  resume: { title: "Resume this job?", does: "Resume", says: "It goes on from where it was paused." },
};

/**
 * Asks whether this is meant, and why. `act(reason)` is called when it is, while the dialog stays;
 * what it throws is shown there, and may be tried again. True once it has been done.
 */
export function confirmAction(action, job, act) {
  const { title, does, says, isGrave } = ACTIONS[action];
  const reason = el("input", { type: "text", id: "reason", maxlength: "200", autocomplete: "off" });
  const fault = el("p", { class: "fault", role: "alert" });
  const yes = el("button", { type: "submit", class: isGrave ? "primary grave" : "primary" }, does);
  const no = el("button", { type: "button", class: "secondary" }, "Leave it");
  const form = el("form", {},
    el("h2", { id: "dialog-title" }, title),
    el("p", { class: "dialog-job" }, say(job.description || job.uuid, 300)),
    el("p", {}, job.cooperative || job.lease ? "Its worker is asked, and answers in its own time. " : "", says),
    el("label", { for: "reason" }, "Why (kept with the job)"), reason,
    fault,
    el("div", { class: "dialog-buttons" }, no, yes));
  const dialog = open(form);
  reason.focus();
  return new Promise((resolve) => {
    let isDone = false;
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(isDone));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      yes.disabled = true;
      fault.textContent = "";
      try {
        await act(reason.value.trim());
        isDone = true;
        dialog.close();
      } catch (error) {
        fault.textContent = error.detail ?? error.message;
        yes.disabled = false;
      }
    });
  });
}

const KEYS = [
  ["j, ↓ and k, ↑", "next and previous job"],
  ["Home, End, Page ↑, Page ↓", "first, last, a page of them"],
  ["Enter", "open the job, or close it again"],
  ["/", "write a filter"],
  ["Escape", "close the job; leave or clear the filter"],
  [".", "show the changes that wait"],
  ["t", "light or dark"],
  ["?", "this help"],
];

const LANGUAGE = [
  ["state=running|queued", "any of these"],
  ["state=!success", "all others"],
  ["kind=backup*", "begins with; * is any run of characters"],
  ["code=>=5 code=3|5..9", "comparisons, sets, ranges"],
  ["end_time=null", "unset; !null is set"],
  ['description="a b"', "quoted: blanks and marks are characters"],
  ["labels.tier=gold", "a label"],
  ["vol1 timeout", "both words, anywhere in a job's texts"],
];

/** Shows the keys, and the language in short. */
export function showHelp() {
  const list = (pairs, tag) => el("dl", { class: "help-list" },
    ...pairs.flatMap(([what, says]) => [el("dt", {}, el(tag, {}, what)), el("dd", {}, says)]));
  const close = el("button", { type: "button", class: "primary" }, "Close");
  const dialog = open(el("div", {},
    el("h2", { id: "dialog-title" }, "Help"),
    el("h3", {}, "Keys"), list(KEYS, "kbd"),
    el("h3", {}, "Filters"), list(LANGUAGE, "code"),
    el("p", { class: "aside" }, "The order of the rows waits while the pointer is on them, while one has the focus, and further down the list. What a row says is always as it is now."),
    el("div", { class: "dialog-buttons" }, close)), "help");
  close.addEventListener("click", () => dialog.close());
  close.focus();
}

/** Shows a dialog with this content; it is gone once it is closed. */
export function open(content, className = "") {
  const before = document.activeElement;
  const dialog = el("dialog", { class: className, "aria-labelledby": "dialog-title" }, content);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  dialog.showModal();
  return dialog;
}

/** Whether one is open, and keys belong to it. */
export function isOpen() {
  return document.querySelector("dialog[open]") !== null;
}
