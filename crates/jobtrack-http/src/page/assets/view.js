// What is shown, as the page's address says it: so every view has a link, and "back" goes back.

export const ORDER = "create_time desc";

/** The view that the address asks for. */
export function read() {
  const asked = new URLSearchParams(location.search);
  return {
    filter: asked.get("filter") ?? "",
    order: asked.get("order") || ORDER,
    job: asked.get("job") || null,
  };
}

/** The address of a view. */
export function href(view) {
  const asked = new URLSearchParams();
  if (view.filter) asked.set("filter", view.filter);
  if (view.order && view.order !== ORDER) asked.set("order", view.order);
  if (view.job) asked.set("job", view.job);
  const query = asked.toString();
  return query ? `?${query}` : location.pathname;
}

/** The view in use. Whoever changes it says what is new; whoever shows it is told what has changed. */
export class View {
  #current = read();
  #listeners = [];

  constructor() {
    addEventListener("popstate", () => this.#become(read()));
  }

  get filter() {
    return this.#current.filter;
  }

  get order() {
    return this.#current.order;
  }

  get job() {
    return this.#current.job;
  }

  /** The address of this view with these changes. */
  link(changes) {
    return href({ ...this.#current, ...changes });
  }

  /** Changes the view, as a new step in the tab's history unless told otherwise. */
  change(changes, { isStep = true } = {}) {
    const next = { ...this.#current, ...changes };
    next.order ||= ORDER;
    if (href(next) === href(this.#current)) return;
    if (isStep) history.pushState(null, "", href(next));
    else history.replaceState(null, "", href(next));
    this.#become(next);
  }

  /** Calls with (view, what it was before) after each change. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  #become(next) {
    const before = this.#current;
    this.#current = next;
    for (const listener of this.#listeners) listener(this, before);
  }
}

/** The first key of an order: its field, and whether it is turned round. */
export function firstKey(order) {
  const [field = "", direction = "asc"] = order.split(",")[0].trim().split(/\s+/);
  return { field, isDescending: direction.toLowerCase() === "desc" };
}
