// Pictures for the documentation.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ready } from "./until.mjs";

/** Takes them of the page as it is, with jobs as they may be. */
export async function takeScreenshots(browser, server, folder) {
  mkdirSync(folder, { recursive: true });
  const parent = { uuid: "0f7c2a10-6c1e-4d58-9a35-2f1f5f0a7c11" };
  const told = await server.post("/v1/import", `${family(parent.uuid).map((job) => JSON.stringify(job)).join("\n")}\n`);
  if (told.imported !== 7) throw new Error(JSON.stringify(told));
  const failed = await server.get("/v1/jobs", { state: "failure", cause: "error", order_by: "end_time desc", max_records: 1, fields: "uuid" });
  const shots = [
    ["page-light", "", { scheme: "light" }],
    ["page-dark", `?job=${parent.uuid}`, { scheme: "dark" }],
    ["page-narrow", "", { scheme: "light", width: 390, height: 780 }],
    ["page-narrow-job", `?job=${failed.records[0].uuid}`, { scheme: "dark", width: 390, height: 780 }],
    ["page-error", `?filter=${encodeURIComponent("kind=backup state=running|bogus node=node1")}`, { scheme: "light", width: 900, height: 330 }],
  ];
  await browser.expecting([/status of 400/], async () => {
    for (const [name, view, options] of shots) {
      const page = await browser.open(server.page + view, { width: 1280, height: 780, ...options });
      if (name !== "page-error") await ready(page);
      await page.waitForTimeout(1500);
      await page.screenshot({ path: join(folder, `${name}.png`) });
      await page.close();
    }
  });
}

/** A backup of many volumes, some of which are done. */
function family(parent) {
  const now = Date.now();
  const ago = (seconds) => new Date(now - seconds * 1000).toISOString();
  const common = { kind: "backup", node: "node2", scope: { name: "vs_finance" }, labels: { tier: "gold" }, retention: 86_400 };
  const whole = {
    ...common, uuid: parent, state: "running", description: "Back up all volumes of vs_finance", message: "Copying files",
    create_time: ago(95), start_time: ago(93), update_time: ago(8), progress: { done: 9_240, total: 12_000, unit: "files" },
  };
  const children = [1, 2, 3, 4, 5, 6].map((index) => {
    const child = { ...common, uuid: parent.replace("0f7c2a1", `0f7c2a${index + 1}`), parent, description: `Back up volume vol${index}` };
    const began = { ...child, create_time: ago(95 - index), update_time: ago(95 - index) };
    if (index === 6) return { ...began, state: "queued" };
    const started = { ...began, start_time: ago(90 - index), update_time: ago(90 - index) };
    const progress = { done: 1200 + index, total: 2400, unit: "files" };
    if (index > 3) return { ...started, state: "running", message: "Copying files", progress };
    const end = ago(60 - index * 10);
    return { ...started, state: "success", message: `${1800 + index} files done`, end_time: end, update_time: end, retained_from: end };
  });
  return [whole, ...children];
}
