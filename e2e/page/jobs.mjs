// Believable jobs of a small storage system, the same ones each time.

const KINDS = [
  { name: "backup", does: "Back up volume", object: "vol", unit: "files", says: ["Scanning the source", "Copying files", "Verifying checksums"] },
  { name: "snapshot", does: "Create snapshot of volume", object: "vol", unit: "steps", says: ["Quiescing the volume", "Writing the snapshot", "Releasing the volume"] },
  { name: "replication", does: "Update SnapMirror relationship", object: "sm", unit: "MB", says: ["Comparing snapshots", "Transferring data", "Waiting for the partner node"] },
  { name: "volume move", does: "Move volume", object: "vol", unit: "MB", says: ["Copying the baseline", "Copying what has changed", "Cutting over"] },
  { name: "restore", does: "Restore LUN", object: "lun", unit: "blocks", says: ["Mapping blocks", "Restoring data", "Verifying data"] },
  { name: "certificate", does: "Rotate certificate", object: "cert", unit: "nodes", says: ["Generating a key", "Installing the certificate"] },
];
const FAILURES = [
  [917_658, "{} is in use; retry later"],
  [917_927, "Insufficient space in the aggregate of {}"],
  [918_235, "{} does not exist"],
  [13_303_817, "Cannot reach the partner of {}: connection timed out"],
];
const SCOPES = ["vs_finance", "vs_home", "vs_media"];
const TIERS = ["gold", "silver", "bronze"];
const OPERATORS = ["ana", "joost", "mei"];

/** Numbers from a seed (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    below: (end) => Math.floor(next() * end),
    pick: (list) => list[Math.floor(next() * list.length)],
    uuid: () => {
      const hex = Array.from({ length: 32 }, () => Math.floor(next() * 16).toString(16));
      hex[12] = "4";
      hex[16] = "89ab"[Math.floor(next() * 4)];
      const text = hex.join("");
      return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
    },
  };
}

/** A new job, as `POST /v1/jobs` takes it. */
export function newJob(from) {
  const kind = from.pick(KINDS);
  const object = `${kind.object}${from.below(240)}`;
  return {
    uuid: from.uuid(),
    description: `${kind.does} ${object}`,
    kind: kind.name,
    node: `node${1 + from.below(4)}`,
    scope: { name: from.pick(SCOPES) },
    labels: { tier: from.pick(TIERS) },
  };
}

/** The lines of an import: so many jobs, most of the latest at work, and the rest ended. */
export function* history(count, now, seed = 2026) {
  const from = random(seed);
  const live = Math.min(120, Math.ceil(count / 20));
  // None so new that the rest of its life would lie ahead.
  let age = 2_000;
  for (let index = 0; index < count; index++) {
    // They come in waves, as people and timetables make them.
    age += 250 + from.below(300) + Math.floor(200 * Math.sin(index / 60));
    yield line(from, index < live, now - age, now);
  }
}

function line(from, isLive, created, now) {
  const job = newJob(from);
  const kind = KINDS.find((kind) => kind.name === job.kind);
  const object = job.description.split(" ").at(-1);
  const total = kind.unit === "steps" || kind.unit === "nodes" ? 2 + from.below(7) : 400 + from.below(90_000);
  const time = (at) => new Date(at).toISOString();
  const started = created + 100 + from.below(700);
  const whole = { ...job, create_time: time(created), update_time: time(started) };
  const draw = from.below(100);
  const isAtWork = isLive && draw < 66;
  if (isAtWork && draw < 14) return { ...whole, state: "queued", update_time: time(created) };
  whole.start_time = time(started);
  if (isAtWork) {
    const done = from.below(total);
    const says = kind.says[Math.floor((done / total) * kind.says.length)];
    const state = draw < 60 ? "running" : "paused";
    return { ...whole, state, message: says, progress: { done, total, unit: kind.unit } };
  }
  // It must have ended by now.
  const ended = time(Math.min(started + 300 + from.below(50_000), now - 500));
  const end = { ...whole, end_time: ended, update_time: ended, retained_from: ended };
  if (draw < 90) {
    return { ...end, state: "success", message: `${total} ${kind.unit} done`, progress: { done: total, total, unit: kind.unit } };
  }
  const progress = { done: from.below(total), total, unit: kind.unit };
  if (draw < 92) {
    const message = `The job was canceled by ${from.pick(OPERATORS)}: maintenance window`;
    return { ...end, state: "failure", cause: "canceled", code: 2, message, progress };
  }
  const [code, message] = from.pick(FAILURES);
  return { ...end, state: "failure", cause: "error", code, message: message.replace("{}", object), progress };
}
