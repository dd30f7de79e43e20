// Pictures for the documentation.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ready } from "./until.mjs";

/** Takes them of the page as it is, with jobs as they may be. */
export async function takeScreenshots(browser, server, folder) {
  mkdirSync(folder, { recursive: true });
  const parent = await server.post("/v1/jobs", {
    description: "Back up all volumes of vs_finance", kind: "backup", node: "node2", scope: { name: "vs_finance" },
    labels: { tier: "gold" }, progress: { done: 9_240, total: 12_000, unit: "files" },
  });
  await server.post(`/v1/jobs/${parent.uuid}/start`);
  for (let index = 1; index <= 6; index++) {
    const { uuid } = await server.post("/v1/jobs", { description: `Back up volume vol${index}`, parent: parent.uuid, kind: "backup", node: "node2" });
    if (index <= 5) await server.post(`/v1/jobs/${uuid}/start`);
    if (index <= 3) await server.post(`/v1/jobs/${uuid}/finish`, { state: "success", message: `${1200 + index} files done` });
  }
  await server.post(`/v1/jobs/${parent.uuid}/report`, { message: "Copying files" });
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
