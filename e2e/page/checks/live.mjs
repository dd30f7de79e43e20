// Five hundred changes a second under an open page.

import assert from "node:assert/strict";
import { Churn } from "../churn.mjs";
import { drawn, ready, until } from "../until.mjs";

export const CHECKS = [{ name: "five hundred changes a second move nothing under the pointer", check: live }];

/** How long rows must stay where they are, looked at ten times a second. */
const LOOKS = 40;

async function live({ browser, server, tell }) {
  const page = await browser.open(server.page);
  await ready(page);
  await page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map((task) => task.duration)))
      .observe({ type: "longtask" });
  });
  const churn = new Churn(server);
  churn.start();
  let rate;
  try {
    const before = await drawn(page);
    await until("new jobs are listed by themselves", async () => (await drawn(page))[0] !== before[0]);
    const row = page.locator("#rows tr.row").nth(4);
    const box = await row.boundingBox();
    await page.mouse.move(box.x + 200, box.y + 20);
    churn.watch(await drawn(page));
    // What was on its way when the pointer came may still arrive.
    await page.waitForTimeout(1500);
    const looks = [];
    for (let look = 0; look < LOOKS; look++) {
      looks.push(await page.evaluate(() => [...document.querySelectorAll("#rows tr.row")].slice(0, 12)
        .map((row) => ({ uuid: row.dataset.uuid, top: row.getBoundingClientRect().top, text: row.querySelector(".message").textContent }))));
      await page.waitForTimeout(100);
    }
    const places = (rows) => rows.map(({ uuid, top }) => `${uuid} at ${top}`).join("\n");
    for (const rows of looks) assert.equal(places(rows), places(looks[0]));
    const texts = new Set(looks.map((rows) => rows.map(({ text }) => text).join("\n")));
    assert.ok(texts.size > 2, "what the rows say goes on changing");
    const waiting = Number(/^([\d,]+)\+? changes? waiting$/.exec(await page.textContent("#waiting"))[1].replaceAll(",", ""));
    assert.ok(waiting > 100, `${waiting} changes waiting`);
    // A row that has the focus holds them just the same.
    await page.keyboard.press("j");
    await page.mouse.move(5, 5);
    const held = await drawn(page);
    await page.waitForTimeout(1500);
    assert.deepEqual((await drawn(page)).slice(0, 8), held.slice(0, 8));
    // By key they are let go.
    await page.keyboard.press(".");
    await until("the changes are shown", async () => (await drawn(page))[0] !== held[0]);
    await page.mouse.move(box.x + 200, box.y + 20);
    await page.mouse.move(5, 5);
    const left = await drawn(page);
    await until("the list goes on when the pointer has gone", async () => (await drawn(page))[0] !== left[0]);
  } finally {
    rate = await churn.stop();
  }
  const tasks = await page.evaluate(() => globalThis.longTasks);
  tell(`${rate.toFixed(0)} changes a second`);
  tell(`${tasks.length} tasks over 50 ms, the longest ${Math.max(0, ...tasks).toFixed(0)} ms`);
  await until("the page is up to date in the end", async () => {
    const rows = await drawn(page);
    const { records } = await server.get("/v1/jobs", { order_by: "create_time desc", max_records: 10, fields: "uuid" });
    return rows.slice(0, 10).join() === records.map((job) => job.uuid).join();
  });
  await page.close();
}
