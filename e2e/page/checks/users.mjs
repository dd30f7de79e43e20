// A server with users: signing in, wrongly and rightly.

import assert from "node:assert/strict";
import { accessible } from "../accessible.mjs";
import { drawn, ready, until } from "../until.mjs";

export const CHECKS = [
  { name: "signing in with a wrong password and with the right one", check: signIn, expects: [/status of 401 /] },
  { name: "nothing that axe-core finds where one signs in", check: look, expects: [/status of 401 /] },
];

async function signIn({ browser, server, people: [{ name, password }] }) {
  const { uuid } = await server.post("/v1/jobs", { description: "Back up volume vol1" });
  const page = await browser.open(server.page);
  await page.waitForSelector("dialog.sign-in-dialog");
  // There is no way round it.
  await page.keyboard.press("Escape");
  assert.equal((await drawn(page)).length, 0);
  await page.fill("#sign-in-name", name);
  await page.fill("#sign-in-password", "not it");
  await page.keyboard.press("Enter");
  await until("it is told", async () => /^That did not work: /.test(await page.textContent("#sign-in-fault").catch(() => "")));
  assert.equal(await page.inputValue("#sign-in-name"), name);
  assert.equal(await page.inputValue("#sign-in-password"), "");
  await page.fill("#sign-in-password", password);
  await page.keyboard.press("Enter");
  await until("the jobs", async () => (await drawn(page)).join() === uuid);
  assert.equal(await page.$("dialog"), null);
  await until("it is live", async () => (await page.textContent("#status")) === "Live");
  // In this tab, and until it is closed.
  await page.reload();
  await ready(page);
  assert.deepEqual(await drawn(page), [uuid]);
  // A change is made in the user's name.
  await page.click("#rows .job-link");
  await page.click("#act-cancel");
  await page.click("dialog .primary");
  await until("it is canceled", async () => (await page.textContent("#detail .badge")) === "canceled");
  assert.match((await server.get(`/v1/jobs/${uuid}`)).message, new RegExp(name));
  await page.click("#sign-out");
  await page.waitForSelector("dialog.sign-in-dialog");
  assert.equal((await drawn(page)).length, 0);
  await page.close();
}

async function look({ browser, server }) {
  for (const options of [{}, { scheme: "dark" }, { width: 390, height: 844 }]) {
    const page = await browser.open(server.page, options);
    await page.waitForSelector("dialog.sign-in-dialog");
    await accessible(page);
    await page.close();
  }
}
