// The jobs around a job: its parent, and how its children stand.

import { el, icon, number, say, standing } from "./text.js";

const SHOWN = 8;
const FIELDS = "state,cause,requested.action,description,create_time";

/** What is known of a job's family, or null where it has none. */
export async function familyOf(api, job, signal) {
  const path = `/v1/jobs/${job.uuid}/tree`;
  const [tree, parent] = await Promise.all([
    api.get(path, [["max_records", 1], ["fields", "state"]], { signal }),
    job.parent ? parentOf(api, job.parent, signal) : null,
  ]);
  const counts = tree.records[0]?.children ?? {};
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (total === 0 && !parent) return null;
  const params = [["parent", job.uuid], ["order_by", "create_time desc"], ["max_records", SHOWN], ["fields", FIELDS]];
  const children = total > 0 ? (await api.get("/v1/jobs", params, { signal })).records : [];
  return { parent, counts, total, children };
}

/** The family, with links to each of it. */
export function family({ parent, counts, total, children }, job, view) {
  const section = el("section", { class: "family" });
  if (parent) {
    section.append(el("h3", {}, "Part of"), el("ul", { class: "family-list" }, member(parent, view)));
  }
  if (total > 0) {
    const states = Object.entries(counts).map(([state, count]) =>
      el("span", { class: "family-count", "data-tone": state }, icon(state), `${number(count)} ${standing({ state }).word}`));
    section.append(
      el("h3", {}, `Children (${number(total)})`),
      el("p", { class: "family-counts" }, ...states),
      el("ul", { class: "family-list" }, ...children.map((child) => member(child, view))),
    );
    if (total > children.length) {
      const all = el("a", { href: view.link({ filter: `parent=${job.uuid}`, job: null }), "data-filter": `parent=${job.uuid}` }, `List all ${number(total)}`);
      section.append(el("p", {}, all));
    }
  }
  return section;
}

async function parentOf(api, uuid, signal) {
  try {
    return await api.get(`/v1/jobs/${uuid}`, [["fields", FIELDS]], { signal });
  } catch (error) {
    if (error.status === 404 || error.status === 410) return { uuid, description: "a job that is gone", isGone: true };
    throw error;
  }
}

function member(job, view) {
  if (job.isGone) return el("li", {}, job.description);
  const { icon: name, tone, word } = standing(job);
  const link = el("a", { href: view.link({ job: job.uuid }), "data-job": job.uuid }, say(job.description || job.uuid, 200));
  return el("li", {}, el("span", { class: "state", "data-tone": tone }, icon(name), el("span", { class: "hidden" }, `${word}: `)), link);
}
