// What became of a job, in the order in which it happened: from its log where the server keeps one,
// and else from its times.

import { el, hasEnded, say, standing } from "./text.js";
import { ago, clock, full, now, span } from "./times.js";

/** The way of a job as a list. `log` is `/v1/jobs/{uuid}/log`, or null. */
export function timeline(job, log) {
  const entries = log?.entries?.length ? ofLog(job, log.entries) : ofTimes(job);
  if (job.deadline && !hasEnded(job)) entries.push({ time: job.deadline, what: "must have ended", tone: "future" });
  if (job.expire_time) entries.push({ time: job.expire_time, what: "expires", tone: "future" });
  const list = el("ol", { class: "timeline" });
  if (log?.dropped > 0) {
    list.append(el("li", { class: "timeline-more" }, `${log.dropped} earlier entries are not kept`));
  }
  let before = null;
  for (const entry of entries) {
    list.append(item(entry, before));
    before = entry.time;
  }
  return list;
}

function item({ time, what, tone, by, reason, message }, before) {
  const passed = before === null ? 0 : Date.parse(time) - Date.parse(before);
  const isAhead = Date.parse(time) > now();
  return el("li", { "data-tone": tone },
    el("div", { class: "timeline-head" },
      el("span", { class: "timeline-what" }, what),
      by ? el("span", { class: "timeline-by" }, " by ", say(by, 200)) : null,
      el("time", { datetime: time, title: full(time) }, clock(time))),
    reason ? el("p", { class: "timeline-text" }, "“", say(reason, 500), "”") : null,
    message ? el("p", { class: "timeline-text" }, say(message, 1000)) : null,
    isAhead ? el("p", { class: "timeline-passed" }, ago(time))
      : passed >= 1000 ? el("p", { class: "timeline-passed" }, `after ${span(passed)}`) : null);
}

function ofTimes(job) {
  const entries = [{ time: job.create_time, what: "created", tone: "queued", to: "created" }];
  if (job.start_time) entries.push({ time: job.start_time, what: "started", tone: "running", to: "running" });
  if (job.requested) {
    const { action, time, by, reason } = job.requested;
    entries.push({ time, what: `asked to ${action}`, tone: "paused", by, reason });
  }
  if (job.end_time) {
    const { word, tone } = standing(job);
    // Why it failed stands above.
    const message = job.state === "success" ? job.message : null;
    entries.push({ time: job.end_time, what: word, tone, message, to: job.state });
  } else if (job.state === "paused") {
    entries.push({ time: job.update_time, what: "paused since, at the latest", tone: "paused" });
  }
  return entries;
}

/** The log; what a job that was imported had behind it, its times alone tell. */
function ofLog(job, entries) {
  const logged = entries.map(ofEntry);
  if (entries[0].kind !== "imported") return logged;
  // The import itself names the state in which the job came.
  const isTold = ({ to }) => to === undefined || entries.slice(1).some((entry) => entry.to === to);
  const untold = ofTimes(job).filter((entry) => !isTold(entry));
  return [...untold, ...logged].sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

function ofEntry({ time, kind, to, from, actor, reason, message, severity }) {
  const change = kind === "message" ? "said" : kind?.replaceAll("_", " ");
  const what = change ?? (from ? `${from} → ${to}` : to) ?? "changed";
  const tone = severity === "error" ? "failure" : severity === "warning" ? "paused" : (to ?? "note");
  return { time, what, tone, by: actor, reason, message };
}
