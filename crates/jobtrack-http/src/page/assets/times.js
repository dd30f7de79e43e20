// Instants and spans as people read them, by the server's clock.

let offset = 0;

/** Takes the server's time from an answer, so that a wrong clock here does not matter. */
export function learn(horizon) {
  const difference = Date.parse(horizon) - Date.now();
  // Less is the way of the answer, and would only make the times tremble.
  if (Number.isFinite(difference)) offset = Math.abs(difference) > 2000 ? difference : 0;
}

/** Milliseconds since 1970, as the server has them. */
export function now() {
  return Date.now() + offset;
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en-GB", {
  year: "numeric", month: "short", day: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
});
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The instant in full, in the visitor's time zone. */
export function full(time) {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? String(time) : FULL.format(at);
}

/** Hours, minutes and seconds; the day in front, if it is another one than today. */
export function clock(time) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return String(time);
  const isToday = new Date(now()).toDateString() === at.toDateString();
  return isToday ? SECONDS.format(at) : `${DAY.format(at)} ${SECONDS.format(at)}`;
}

/** Hours and minutes. */
export function minute(time) {
  return CLOCK.format(new Date(time));
}

/** Day and month. */
export function day(time) {
  return DAY.format(new Date(time));
}

/** "3 min ago", "in 5 s". */
export function ago(time) {
  const passed = now() - Date.parse(time);
  if (!Number.isFinite(passed)) return "";
  if (Math.abs(passed) < 1500) return "now";
  return passed >= 0 ? `${coarse(passed)} ago` : `in ${coarse(-passed)}`;
}

/** A length of time in its two largest units at most. */
export function span(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    const rest = Math.floor(seconds % 60);
    return minutes < 10 && rest > 0 ? `${minutes} min ${rest} s` : `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return days < 10 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** Without tenths, which nobody wants of a time that has gone by. */
export function coarse(milliseconds) {
  return milliseconds < 60_000 ? short(milliseconds) : span(milliseconds);
}

/** A length of time in one unit: for what is told again each second. */
export function short(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** How long a job has run, or ran; null if it never did. */
export function ran(job) {
  if (!job.start_time) return null;
  const end = job.end_time ? Date.parse(job.end_time) : now();
  return end - Date.parse(job.start_time);
}
