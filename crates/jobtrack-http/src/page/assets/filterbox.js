// The box that filters are written in, with what is wrong shown under the word at fault.

import { el } from "./text.js";
import { locate, parse } from "./filter.js";

/** How long after the last key the filter takes effect; Enter does not wait. */
const PAUSE = 350;

const EXAMPLES = [
  { text: "state=running", says: "at work" },
  { text: "state=failure cause=!canceled", says: "broken" },
  { text: "state=queued|paused", says: "waiting" },
  { text: "kind=backup* node=node1|node2", says: "of a kind, on two nodes" },
  { text: "progress.done=>100 state=running", says: "well on their way" },
  { text: '"timed out"', says: "words anywhere" },
];

export class FilterBox {
  #view;
  #input = document.getElementById("filter-text");
  #mirror = document.getElementById("filter-mirror");
  #problem = document.getElementById("filter-problem");
  #clear = document.getElementById("filter-clear");
  #timer = 0;

  constructor(view) {
    this.#view = view;
    const form = document.getElementById("filter");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    this.#input.addEventListener("input", () => {
      this.#write();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#apply(), PAUSE);
    });
    this.#input.addEventListener("scroll", () => this.#scroll());
    this.#clear.addEventListener("click", () => {
      this.#input.value = "";
      this.#apply();
      this.focus();
    });
    this.#offerExamples();
    view.onChange((now, before) => {
      if (now.filter !== before.filter) this.#show(now.filter);
    });
    this.#show(view.filter);
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  get hasFocus() {
    return document.activeElement === this.#input;
  }

  blur() {
    this.#input.blur();
  }

  /** Whether there was anything to clear. */
  clear() {
    if (!this.#input.value) return false;
    this.#input.value = "";
    this.#apply();
    return true;
  }

  /** Shows what is wrong with the filter, or with nothing that it was right. */
  fault(problem) {
    if (!problem) {
      this.#input.removeAttribute("aria-invalid");
      this.#problem.replaceChildren();
      this.#write();
      return;
    }
    const parsed = parse(this.#input.value);
    const place = problem.place ?? locate(parsed, problem);
    this.#input.setAttribute("aria-invalid", "true");
    this.#write(place);
    const word = place && this.#input.value.slice(place.from, place.to);
    const what = el("span", { class: "problem-text" }, problem.detail);
    // What is at fault is seen above; who does not see it is told.
    if (word) what.prepend(el("span", { class: "hidden" }, `At ${word}: `));
    this.#problem.replaceChildren(what);
    const mark = this.#mirror.querySelector("mark");
    const left = mark ? mark.offsetLeft - this.#input.scrollLeft : 0;
    const most = Math.max(0, this.#problem.clientWidth - what.offsetWidth);
    this.#problem.style.setProperty("--at", `${Math.max(0, Math.min(left, most))}px`);
    this.#problem.style.setProperty("--tip", `${Math.max(8, left - Math.min(left, most) + 8)}px`);
  }

  #apply() {
    clearTimeout(this.#timer);
    this.#view.change({ filter: this.#input.value.trim() });
  }

  #show(text) {
    if (this.#input.value.trim() !== text) this.#input.value = text;
    this.fault(null);
    for (const button of document.querySelectorAll("#examples button")) {
      button.setAttribute("aria-pressed", String(button.dataset.filter === text));
    }
  }

  /** Repeats the text behind the box, where a part of it can be marked. */
  #write(place = null) {
    const text = this.#input.value;
    this.#clear.hidden = text === "";
    if (!place) {
      this.#mirror.replaceChildren(text);
    } else {
      // What is missing at the end has no letter of its own.
      const marked = text.slice(place.from, place.to) || "\u00a0";
      this.#mirror.replaceChildren(text.slice(0, place.from), el("mark", {}, marked), text.slice(place.to));
    }
    this.#scroll();
  }

  #scroll() {
    this.#mirror.scrollLeft = this.#input.scrollLeft;
  }

  #offerExamples() {
    const buttons = EXAMPLES.map(({ text, says }) => {
      const button = el("button", { type: "button", class: "example", "data-filter": text, title: says, "aria-pressed": "false" }, text);
      button.addEventListener("click", () => {
        // Once more takes it back.
        this.#view.change({ filter: this.#view.filter === text ? "" : text });
      });
      return button;
    });
    document.getElementById("examples").append(el("span", { class: "examples-title" }, "Try"), ...buttons);
  }
}
