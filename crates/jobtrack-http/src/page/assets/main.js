// The page: what is shown is what the address says, and stays as true as the server is.

import { Api, Unreachable } from "./api.js";
import { Counters } from "./counters.js";
import { Detail } from "./detail.js";
import { FilterBox } from "./filterbox.js";
import { Listing } from "./listing.js";
import { Live } from "./live.js";
import { Plot } from "./plot.js";
import { Table } from "./table.js";
import { View, firstKey } from "./view.js";
import { parse } from "./filter.js";
import { hearKeys } from "./keys.js";
import { counted, number } from "./text.js";
import { ask, forget, remembered } from "./signin.js";

/** The list is read anew at most this often, and never more than a fifth of the time. */
const REFRESH = 1000;
/** Counts and plot, in milliseconds; each at most a twentieth of the time. */
const COUNTS = 1000;
const PLOT = 5000;
/** A tab that nobody sees gives its connection back after this long. */
const UNSEEN = 20_000;
/** Fields that stay as they were made: in an order by them no job moves. */
const FIXED = new Set(["uuid", "description", "create_time", "kind", "node", "scope.name", "scope.id", "parent"]);

const status = document.getElementById("status");
const waitingButton = document.getElementById("waiting");
const announcer = document.getElementById("announcer");
const matching = document.getElementById("matching");

const view = new View();
const api = new Api(ask);
api.identify(remembered());
const listing = new Listing(api);
const counters = new Counters(view);
const filterBox = new FilterBox(view);
const table = new Table(view, listing, refreshSoon);
const plot = new Plot(() => poll(activity));
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
/** Jobs whose place in the list has changed since it was read. */
const waiting = new Set();
let refreshTimer = 0;
let refreshedAt = 0;
let refreshTook = 0;
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
    filterBox.fault(parsed.problem);
    poll(counts);
    return;
  }
  table.busy(true);
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 10_000)) {
    try {
      const revision = await listing.open(parsed.params, view.order);
      if (signal.aborted) return;
      filterBox.fault(null);
      table.toTop();
      settle();
      live.start(listing.watchParams, revision);
      count();
      poll(counts);
      poll(activity);
      break;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Unreachable) && error.status !== 503) {
        refused(error);
        break;
      }
      showState("waiting", wait);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  table.busy(false);
}

function refused(error) {
  if (error.status === undefined) throw error;
  if (error.field === "order_by") view.change({ order: undefined }, { isStep: false });
  else filterBox.fault(error);
  poll(counts);
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
  const isShown = name === "gone" ? listing.leave(job.uuid, job.how) : moved(job, name);
  if (isShown) redraw();
  detail.touch(job.uuid);
  poll(counts);
}

function moved(job, name) {
  const { field } = firstKey(view.order);
  const kept = listing.job(job.uuid);
  const before = kept && valueOf(kept, field);
  const isShown = listing.update(job);
  if (name === "out") listing.leave(job.uuid, "out");
  const isNew = name === "in" && !isShown;
  const isElsewhere = !FIXED.has(field) && name === "changed" && (!kept || before !== valueOf(job, field));
  if ((isNew || isElsewhere || (name === "out" && isShown)) && listing.isBefore(job.revision)) hold(job.uuid);
  return isShown;
}

function valueOf(job, field) {
  return field.split(".").reduce((value, name) => value?.[name], job);
}

function hold(uuid) {
  // Their number is told exactly up to here; it must not grow with the changes.
  if (waiting.size < 10_000) waiting.add(uuid);
  refreshSoon();
}

let redrawTimer = 0;

/** Several times a second, however much changes. */
function redraw() {
  redrawTimer ||= setTimeout(() => {
    redrawTimer = 0;
    table.plan();
  }, 150);
}

/** Reads the list anew as soon as that is due, unless somebody holds it. */
function refreshSoon() {
  if (waiting.size === 0) return;
  const pause = Math.max(REFRESH, refreshTook * 5);
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
    count();
  } catch {
    // The view changed meanwhile, or the server is away, and either is dealt with elsewhere.
  }
  refreshedAt = performance.now();
  refreshTook = refreshedAt - began;
}

/** The list is as the server has it. */
function settle() {
  waiting.clear();
  showCount();
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

let announcedAt = 0;

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

let countAbort = new AbortController();
let countedAt = -Infinity;
let countTook = 0;

/** How many match: kept for all jobs, counted for a filter, which may take its time. */
async function count() {
  const { params } = listing;
  const isSame = countAbort.params === params;
  if (isSame && performance.now() - countedAt < Math.max(3000, countTook * 20)) return;
  countAbort.abort();
  const abort = new AbortController();
  abort.params = params;
  countAbort = abort;
  countedAt = performance.now();
  if (params.length === 0) {
    showMatching(counters.total);
    return;
  }
  if (!isSame) showMatching(null);
  try {
    const body = await api.get("/v1/jobs", [...params, ["return_records", "false"]], { signal: abort.signal });
    countTook = performance.now() - countedAt;
    showMatching(body.num_records);
  } catch {
    // Without the number the list is no worse.
  }
}

function showMatching(total) {
  const isFiltered = listing.params.length > 0;
  matching.textContent = total === null ? "" : isFiltered ? `${number(total)} match` : number(total);
  table.matching(total);
}

const counts = { path: "/v1/counts", pause: COUNTS, params: () => [], show: (body) => {
  counters.show(body);
  if (listing.params.length === 0) showMatching(body.total);
} };
const activity = { path: "/v1/activity", pause: PLOT, params: () => [...listing.params, ...plot.params], show: (body) => plot.show(body) };
// Times go by without changes, too.
setInterval(() => poll(counts), 3000);
setInterval(() => poll(activity), PLOT);

/** Asks for this unless it was asked just now, and then again if it was wanted meanwhile. */
async function poll(what) {
  if (document.hidden) return;
  const asked = JSON.stringify(what.params());
  const isOther = asked !== what.asked;
  if (what.isAsking || (!isOther && performance.now() < (what.notBefore ?? 0))) {
    what.timer ||= setTimeout(() => {
      what.timer = 0;
      poll(what);
    }, what.pause);
    return;
  }
  what.isAsking = true;
  what.asked = asked;
  const began = performance.now();
  try {
    what.show(await api.get(what.path, JSON.parse(asked)));
  } catch (error) {
    if (error.kind === "deadline_exceeded") what.show(null);
  } finally {
    what.isAsking = false;
    const took = performance.now() - began;
    what.notBefore = performance.now() + Math.max(what.pause - 100, took * 20);
  }
}

function showState(state, milliseconds) {
  const before = status.dataset.state;
  status.dataset.state = state;
  const text = state === "live" ? "Live" : "Reconnecting…";
  if (status.textContent !== text) status.textContent = text;
  status.title = state === "live" ? "Changes are shown as they happen" : `The server does not answer; next try in ${Math.ceil(milliseconds / 1000)} s`;
  if (state === "live" && before === "waiting") {
    // It may be another server by now, or the same with other users.
    identify();
    poll(counts);
    poll(activity);
  }
}

let unseenTimer = 0;

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
