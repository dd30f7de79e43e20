// The table: rows for what is seen and a little around it, however many jobs there are.
//
// Rows follow their jobs: one that stays in sight stays the same element, so that the pointer, the
// focus and a screen reader stay with it.

import { firstKey } from "./view.js";
import { counted, number } from "./text.js";
import { fillRow, makeRow, tickRow } from "./rows.js";

/** Rows beyond the edges that are drawn as well. */
const BEYOND = 8;
/** How near the end is when the next page is asked for, in rows. */
const NEAR = 40;
/** A pointer that has not moved for so long does not hold the order any more: 60 s. */
const IDLE = 60_000;

export class Table {
  #view;
  #listing;
  #scroller = document.getElementById("scroller");
  #table = document.getElementById("table");
  #body = document.getElementById("rows");
  #foot = document.getElementById("foot");
  #above = spacer();
  #below = spacer();
  #rows = new Map();
  #spare = [];
  #current = 0;
  #isPlanned = false;
  #pointerAt = -Infinity;
  #onRelease;

  /** `onRelease` is called when nothing holds the order any more. */
  constructor(view, listing, onRelease) {
    this.#view = view;
    this.#listing = listing;
    this.#onRelease = onRelease;
    this.#body.append(this.#above, this.#below);
    this.#scroller.addEventListener("scroll", () => {
      this.plan();
      if (this.#scroller.scrollTop === 0) onRelease();
    }, { passive: true });
    new ResizeObserver(() => this.plan()).observe(this.#scroller);
    this.#hearPointer();
    this.#body.addEventListener("click", (event) => this.#clicked(event));
    this.#body.addEventListener("focusin", (event) => this.#focused(event));
    this.#body.addEventListener("focusout", () => setTimeout(onRelease));
    for (const head of this.#table.querySelectorAll("th[data-field]")) {
      head.querySelector("button").addEventListener("click", () => this.#sort(head.dataset.field));
    }
    setInterval(() => this.#tick(), 1000);
    this.#showOrder();
    view.onChange(() => {
      this.#showOrder();
      this.plan();
    });
  }

  /** Whether rows must stay where they are: somebody points at one, is at one, or looks further down. */
  get isHeld() {
    const isPointed = this.#body.matches(":hover") && performance.now() - this.#pointerAt < IDLE;
    return isPointed || this.#body.contains(document.activeElement) || this.#scroller.scrollTop > 0;
  }

  get hasFocus() {
    return this.#scroller.contains(document.activeElement);
  }

  /** Draws before the next frame, once, however often it is asked. */
  plan() {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    requestAnimationFrame(() => {
      this.#isPlanned = false;
      this.draw();
    });
  }

  /** Back to the first row, where a new list begins. */
  toTop() {
    this.#scroller.scrollTop = 0;
    this.#current = 0;
  }

  /** Whether something is being waited for. */
  busy(isBusy) {
    this.#table.setAttribute("aria-busy", String(isBusy));
  }

  draw() {
    const length = this.#listing.length;
    const height = this.#rowHeight();
    const seen = Math.ceil(this.#scroller.clientHeight / height);
    const top = Math.floor(this.#scroller.scrollTop / height);
    const from = Math.max(0, Math.min(top, length) - BEYOND);
    const to = Math.min(length, top + seen + BEYOND);
    this.#listing.keep(from, to, () => this.plan());
    this.#place(from, to);
    this.#above.firstChild.style.height = `${from * height}px`;
    this.#below.firstChild.style.height = `${Math.max(0, length - to) * height}px`;
    this.#above.hidden = from === 0;
    this.#below.hidden = to === length;
    this.#tell(length);
    if (top + seen + NEAR > length) {
      this.#listing.more().then((isMore) => isMore && this.plan(), () => {});
    }
  }

  /** How many jobs match, if that is known: for who cannot see how long the list is. */
  matching(count) {
    this.#table.setAttribute("aria-rowcount", count === null ? "-1" : String(count + 1));
  }

  /** Moves to the row so many further, or with Infinity to the last that is known. */
  async move(by) {
    const isIn = this.#body.contains(document.activeElement);
    const last = this.#listing.length - 1;
    if (last < 0) return;
    const next = isIn ? this.#current + by : this.#current;
    this.focusRow(Math.max(0, Math.min(last, next)));
  }

  /** How many rows are seen at a time. */
  get pageRows() {
    return Math.max(1, Math.floor(this.#scroller.clientHeight / this.#rowHeight()) - 2);
  }

  focusRow(index) {
    this.#current = index;
    const height = this.#rowHeight();
    const head = this.#table.tHead.offsetHeight;
    const top = index * height;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (top + height + head > scrollTop + clientHeight) {
      this.#scroller.scrollTop = top + height + head - clientHeight;
    }
    this.draw();
    const job = this.#listing.at(index);
    this.#rows.get(job?.uuid)?.parts.link.focus({ preventScroll: true });
  }

  /** Back to the row of this job, where it is still shown, or to the list. */
  focusJob(uuid) {
    const row = this.#rows.get(uuid);
    if (row) row.parts.link.focus();
    else this.#scroller.focus();
  }

  /** Takes rows from those that are not needed any more for those that are, in order. */
  #place(from, to) {
    const wanted = new Map();
    for (let index = from; index < to; index++) {
      const job = this.#listing.at(index);
      if (job) wanted.set(job.uuid, { job, index });
    }
    const focused = document.activeElement?.closest?.("tr.row");
    for (const [uuid, row] of this.#rows) {
      if (wanted.has(uuid)) continue;
      this.#rows.delete(uuid);
      // The focus stays in the list when its row goes out of sight.
      if (row === focused) this.#scroller.focus({ preventScroll: true });
      row.remove();
      this.#spare.push(row);
    }
    let after = this.#above;
    for (const [uuid, { job, index }] of wanted) {
      let row = this.#rows.get(uuid);
      if (!row) {
        row = this.#spare.pop() ?? makeRow((id) => this.#view.link({ job: id }));
        this.#rows.set(uuid, row);
      }
      fillRow(row, job, index);
      row.index = index;
      row.parts.link.tabIndex = index === this.#current ? 0 : -1;
      const isOpen = uuid === this.#view.job;
      if (row.classList.contains("open") !== isOpen) row.classList.toggle("open", isOpen);
      if (after.nextSibling !== row) after.after(row);
      after = row;
    }
    this.#spare.length = Math.min(this.#spare.length, 100);
  }

  #tell(length) {
    const { isWhole, isFull } = this.#listing;
    if (length === 0 && isWhole) {
      this.#foot.textContent = this.#view.filter
        ? "No job matches. Jobs that have ended are kept for a while only."
        : "No jobs yet.";
    } else if (isWhole) {
      this.#foot.textContent = length > 20 ? `That is all: ${counted(length, "job")}.` : "";
    } else if (isFull) {
      this.#foot.textContent = `${number(length)} jobs down. Narrow the filter to see others.`;
    } else {
      this.#foot.textContent = length > 0 ? "Loading more…" : "Nothing is listed yet.";
    }
  }

  #tick() {
    if (document.hidden) return;
    for (const row of this.#rows.values()) {
      const job = this.#listing.job(row.uuid);
      if (job) tickRow(row, job);
    }
    // A pointer that rests for long lets go without an event.
    if (!this.isHeld) this.#onRelease();
  }

  #rowHeight() {
    return Number.parseFloat(getComputedStyle(this.#table).getPropertyValue("--row")) || 48;
  }

  #hearPointer() {
    const moved = () => {
      this.#pointerAt = performance.now();
    };
    this.#body.addEventListener("pointermove", moved, { passive: true });
    this.#body.addEventListener("pointerdown", moved, { passive: true });
    this.#body.addEventListener("pointerleave", () => this.#onRelease(), { passive: true });
  }

  #clicked(event) {
    const row = event.target.closest("tr.row");
    if (!row || event.defaultPrevented) return;
    // A new tab, and marking text, are the browser's affair.
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    if (!getSelection().isCollapsed) return;
    event.preventDefault();
    this.#current = row.index;
    this.#view.change({ job: row.uuid === this.#view.job ? null : row.uuid });
  }

  #focused(event) {
    const row = event.target.closest("tr.row");
    if (!row || row.index === this.#current) return;
    this.#current = row.index;
    for (const other of this.#rows.values()) {
      other.parts.link.tabIndex = other === row ? 0 : -1;
    }
  }

  #sort(field) {
    const now = firstKey(this.#view.order);
    // Times begin with the latest, all else with the first; once more turns it round.
    const isDescending = now.field === field ? !now.isDescending : field.endsWith("_time");
    this.#view.change({ order: `${field} ${isDescending ? "desc" : "asc"}` });
  }

  #showOrder() {
    const { field, isDescending } = firstKey(this.#view.order);
    for (const head of this.#table.querySelectorAll("th[data-field]")) {
      if (head.dataset.field === field) {
        head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
      } else {
        head.removeAttribute("aria-sort");
      }
    }
  }
}

/** A row that stands for those that are not drawn. */
function spacer() {
  const row = document.createElement("tr");
  row.className = "space";
  row.setAttribute("aria-hidden", "true");
  // Of one column: spanning hidden ones would make room for them.
  row.append(document.createElement("td"));
  return row;
}
