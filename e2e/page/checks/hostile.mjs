// Jobs that try to be more than text.

import assert from "node:assert/strict";
import { drawn, filter, ready, until } from "../until.mjs";

export const CHECKS = [{ name: "hostile names are text", check: hostile }];

const MARKUP = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=2</script>';
const TURNED = "safe\u202egnp.exe\u202c \u2066x\u2069 \u200b\u0007";
const LONG = "x".repeat(900);

async function hostile({ browser, server }) {
  const job = {
    description: MARKUP, message: TURNED, kind: '"><svg onload=globalThis.pwned=3>', node: "javascript:globalThis.pwned=4",
    scope: { name: "{a}\"b|c*" }, labels: { [`<b>`]: MARKUP }, progress: { done: 1, total: 2, unit: MARKUP.slice(0, 30) },
  };
  const { uuid } = await server.post("/v1/jobs", job);
  const { uuid: long } = await server.post("/v1/jobs", { description: LONG, message: `${"\u0301".repeat(200)}${LONG}` });
  await server.post(`/v1/jobs/${uuid}/start`);
  await server.post(`/v1/jobs/${uuid}/finish`, {
    state: "failure", code: 7, message: `${MARKUP} ${TURNED}`,
    error: { code: 7, message: `${MARKUP} ${TURNED}`, target: MARKUP, arguments: [{ code: MARKUP, message: TURNED }] },
  });
  const page = await browser.open(`${server.page}?filter=${uuid}|${long}`);
  await page.goto(`${server.page}?filter=uuid%3D${uuid}%7C${long}&job=${uuid}`);
  await ready(page);
  await page.waitForSelector("#detail .detail-fault");
  const row = page.locator(`#rows tr[data-uuid="${uuid}"]`);
  assert.equal(await row.locator(".job-link").textContent(), MARKUP);
  assert.equal(await row.locator(".message").textContent(), `${MARKUP} safe\\u202egnp.exe\\u202c \\u2066x\\u2069 \\u200b\\u0007`);
  assert.equal(await page.textContent("#detail h2"), MARKUP);
  // Nothing of it became an element, and nothing ran.
  const made = await page.evaluate(() => document.querySelectorAll("#rows img, #rows script, #detail img, #detail script, #detail b, svg[onload]").length);
  assert.equal(made, 0);
  assert.equal(await page.evaluate(() => globalThis.pwned), undefined);
  const links = await page.$$eval("a[href]", (links) => links.map((link) => new URL(link.href).origin));
  assert.ok(links.every((origin) => origin === new URL(server.page).origin));
  // A long name takes a row's room and no more.
  const [box, other] = [await page.locator(`#rows tr[data-uuid="${long}"]`).boundingBox(), await row.boundingBox()];
  assert.equal(box.height, other.height);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  // What was quoted for a link finds the job again, marks and all.
  for (const name of ["kind", "scope.name"]) {
    await page.click(`#detail .facts a[data-filter^="${name}="]`);
    await until(`the job by its ${name}`, async () => (await drawn(page)).join() === uuid);
    await page.click("#rows tr.row");
    await page.waitForSelector("#detail .facts");
  }
  await filter(page, "");
  await page.close();
}
