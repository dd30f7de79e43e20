// The page: what is shown is what the address says, and stays as true as the server is.

import { Api, Unreachable } from "./api.js";
import { Detail } from "./detail.js";
import { FilterBox } from "./filterbox.js";
import { Listing } from "./listing.js";
import { Live } from "./live.js";
import { Numbers } from "./numbers.js";
import { Table } from "./table.js";
import { View, firstKey } from "./view.js";
import { parse } from "./filter.js";
import { hearKeys } from "./keys.js";
import { counted } from "./text.js";
import { ask, forget, remembered } from "./signin.js";

/** The list is read anew at most this often, and never more than a fifth of the time. */
const REFRESH = 1000;
/** And at most this often where the server has no room for another who watches. */
const BLIND = 5000;
/** A tab that nobody sees gives its connection back after this long. */
const UNSEEN = 20_000;
/** Fields that stay as they were made: in an order by them no job moves. */
const FIXED = new Set(["uuid", "description", "create_time", "kind", "node", "scope.name", "scope.id", "parent"]);

const status = document.getElementById("status");
const waitingButton = document.getElementById("waiting");
const announcer = document.getElementById("announcer");

const view = new View();
const api = new Api(ask);
api.identify(remembered());
const listing = new Listing(api);
const filterBox = new FilterBox(view);
const table = new Table(view, listing, refreshSoon);
const numbers = new Numbers(api, view, listing, table);
const live = new Live(api, { event: changed, gap: load, state: showState });
const detail = new Detail(api, view, {
  mayControl: () => role !== "read",
  onChanged: (job) => {
    listing.update(job);
    table.plan();
  },
  onClosed: (uuid) => table.focusJob(uuid),
});

let role = "read";
let loading = new AbortController();
/** Jobs whose place in the list has changed since it was read, and the revision of that. */
const waiting = new Map();
/** Whether there is no watch that would tell what has changed. */
let isBlind = false;
let isLoading = false;
let refreshTimer = 0;
let refreshedAt = 0;
let refreshTook = 0;
let redrawTimer = 0;
let announcedAt = 0;
let unseenTimer = 0;
let isUnseen = false;

hearKeys({ view, table, filterBox, showWaiting: () => showWaiting() });
waitingButton.addEventListener("click", () => showWaiting());
document.getElementById("sign-out").addEventListener("click", () => {
  forget();
  location.reload();
});
document.getElementById("home").addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  view.change({ filter: "", order: undefined, job: null });
});
view.onChange((now, before) => {
  if (now.filter !== before.filter || now.order !== before.order) load();
});
document.addEventListener("visibilitychange", seen);

/** Reads what the view asks for, and watches it from there. */
async function load() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const parsed = parse(view.filter);
  if (parsed.problem) {
    isLoading = false;
    refused(parsed.problem);
    return;
  }
  table.busy(true);
  // What it reads is newer than what a refresh on its way would bring.
  clearTimeout(refreshTimer);
  refreshTimer = 0;
  isLoading = true;
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 10_000)) {
    try {
      const revision = await listing.open(parsed.params, view.order);
      if (signal.aborted) return;
      filterBox.fault(null);
      table.toTop();
      waiting.clear();
      settle();
      live.start(listing.watchParams, revision);
      numbers.askAll();
      break;
    } catch (error) {
      if (signal.aborted) return;
      if (error.status !== undefined && error.status !== 503) {
        refused(error);
        break;
      }
      if (error.status === undefined && !(error instanceof Unreachable)) throw error;
      showState("waiting");
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  if (signal.aborted) return;
  isLoading = false;
  table.busy(false);
}

function refused(error) {
  if (error.field === "order_by") view.change({ order: undefined }, { isStep: false });
  else filterBox.fault(error);
  table.plan();
  numbers.askAll();
}

/** Who the visitor is to the server; one that does not tell lets everybody do everything. */
async function identify() {
  try {
    const { user, role: given, scope } = await api.get("/v1/whoami");
    role = given;
    const who = document.getElementById("who");
    who.hidden = !user;
    who.textContent = [user, given === "admin" ? null : `may ${given}`, scope?.name].filter(Boolean).join(" · ");
  } catch (error) {
    if (error.status !== 404) {
      // Until it is known, nothing is offered that might be refused.
      setTimeout(identify, 3000);
      return;
    }
    role = "admin";
  }
  document.getElementById("sign-out").hidden = !api.isIdentified;
  detail.refresh();
}

/** One change, as the watch tells it. What is in a row is written there; what would move waits. */
function changed(name, data) {
  const job = JSON.parse(data);
  const isShown = name === "gone" ? left(job) : moved(job, name);
  if (isShown) redraw();
  detail.touch(job.uuid);
  numbers.askCounts();
}

function left({ uuid, how, revision }) {
  const isShown = listing.leave(uuid, how);
  if (isShown && listing.isBefore(revision)) hold(uuid, revision);
  return isShown;
}

function moved(job, name) {
  const { field } = firstKey(view.order);
  const kept = listing.job(job.uuid);
  const before = kept && valueOf(kept, field);
  const isShown = listing.update(job);
  if (name === "out") listing.leave(job.uuid, "out");
  const isNew = name === "in" && !isShown;
  const isElsewhere = !FIXED.has(field) && name === "changed" && (!kept || before !== valueOf(job, field));
  if ((isNew || isElsewhere || (name === "out" && isShown)) && listing.isBefore(job.revision)) {
    hold(job.uuid, job.revision);
  }
  return isShown;
}

function valueOf(job, field) {
  return field.split(".").reduce((value, name) => value?.[name], job);
}

function hold(uuid, revision) {
  // Their number is told exactly up to here; it must not grow with the changes.
  if (waiting.size < 10_000 || waiting.has(uuid)) waiting.set(uuid, revision);
  refreshSoon();
}

/** Several times a second, however much changes. */
function redraw() {
  redrawTimer ||= setTimeout(() => {
    redrawTimer = 0;
    table.plan();
  }, 150);
}

/** Reads the list anew as soon as that is due, unless somebody holds it. */
function refreshSoon() {
  if ((waiting.size === 0 && !isBlind) || isLoading) return;
  const pause = isBlind ? BLIND : Math.max(REFRESH, refreshTook * 5);
  refreshTimer ||= setTimeout(refresh, Math.max(0, refreshedAt + pause - performance.now()));
}

async function refresh() {
  refreshTimer = 0;
  if (table.isHeld) {
    showCount();
    // Looked at again while it lasts, so that the number shown is the number that waits.
    refreshTimer = setTimeout(() => {
      refreshTimer = 0;
      refreshSoon();
    }, 250);
    return;
  }
  const began = performance.now();
  try {
    await listing.open(listing.params, view.order);
    settle();
    numbers.askMatching();
  } catch {
    // The view changed meanwhile, or the server is away, and either is dealt with elsewhere.
  }
  refreshedAt = performance.now();
  refreshTook = refreshedAt - began;
}

/** The list is as the server had it; what came on the way still waits. */
function settle() {
  for (const [uuid, revision] of waiting) if (!listing.isBefore(revision)) waiting.delete(uuid);
  showCount();
  refreshSoon();
  table.draw();
  if (!performance.getEntriesByName("first-rows").length) performance.mark("first-rows");
}

function showWaiting() {
  if (waiting.size === 0) return;
  clearTimeout(refreshTimer);
  refreshTimer = 0;
  document.activeElement?.closest?.("#rows, #waiting") && document.getElementById("scroller").focus();
  table.toTop();
  load();
}

function showCount() {
  const most = waiting.size >= 10_000 ? "+" : "";
  waitingButton.hidden = waiting.size === 0;
  if (waiting.size === 0) return;
  const text = `${counted(waiting.size, "change")}${most} waiting`;
  if (waitingButton.textContent !== text) waitingButton.textContent = text;
  // Who listens is told now and then, and not each time.
  if (performance.now() - announcedAt > 15_000) {
    announcedAt = performance.now();
    announcer.textContent = text;
  }
}

const STATES = {
  live: ["Live", "Changes are shown as they happen"],
  waiting: ["Reconnecting…", "The server does not answer"],
  crowded: ["Every 5 s", "More watch than the server has room for; the list is read anew now and then"],
};

function showState(state) {
  const before = status.dataset.state;
  status.dataset.state = state;
  const [text, title] = STATES[state];
  if (status.textContent !== text) status.textContent = text;
  status.title = title;
  isBlind = state === "crowded";
  refreshSoon();
  if (state === "live" && before === "waiting") {
    // It may be another server by now, or the same with other users.
    identify();
    numbers.askAll();
  }
}

/** A tab that is not seen costs nothing; when it is seen again it is as fresh as a new one. */
function seen() {
  clearTimeout(unseenTimer);
  if (document.hidden) {
    unseenTimer = setTimeout(() => {
      isUnseen = true;
      live.stop();
    }, UNSEEN);
  } else if (isUnseen) {
    isUnseen = false;
    load();
    detail.refresh();
  }
}

load();
detail.begin();
identify();
