// The web page in a real browser against a real server. Prints a line for each check; the first one
// that fails ends the run with status 1.
//
//     node e2e/page/run.mjs --binary target/debug/jobtrack [--jobs 100000] [--screenshots FOLDER]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Browser } from "./browser.mjs";
import { Server } from "./server.mjs";
import { CHECKS as MANY } from "./checks/many.mjs";
import { CHECKS as LIVE } from "./checks/live.mjs";
import { CHECKS as HOSTILE } from "./checks/hostile.mjs";
import { CHECKS as USERS } from "./checks/users.mjs";
import { CHECKS as RESTART } from "./checks/restart.mjs";
import { takeScreenshots } from "./screenshots.mjs";

const { values } = parseArgs({
  options: {
    binary: { type: "string" },
    jobs: { type: "string", default: "100000" },
    screenshots: { type: "string" },
    only: { type: "string" },
  },
});
const PEOPLE = [{ name: "ana", password: "Zürich: correct horse" }];

const folder = mkdtempSync(join(tmpdir(), "jobtrack-page-"));
const browser = await Browser.launch();
let passed = 0;
try {
  const jobs = Number(values.jobs.replaceAll("_", ""));
  const filled = async () => {
    const server = await new Server(values.binary).start();
    const began = performance.now();
    await server.fill(jobs);
    print(`   ${seconds(began)}  ${jobs} jobs imported`);
    return server;
  };
  if (values.screenshots) {
    await withServer(await filled(), (server) => takeScreenshots(browser, server, values.screenshots));
  } else {
    await withServer(await filled(), (server) => run([...MANY, ...LIVE, ...HOSTILE], server));
    const users = { file: join(folder, "users"), people: PEOPLE };
    await withServer(await new Server(values.binary, { users }).start(), (server) => run(USERS, server));
    const store = `redb:${join(folder, "data")}`;
    await withServer(await new Server(values.binary, { store }).start(), (server) => run(RESTART, server));
    print(`${passed} checks passed`);
  }
} catch (error) {
  print(error.stack);
  process.exitCode = 1;
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}

async function withServer(server, use) {
  try {
    await use(server);
  } finally {
    await server.stop();
  }
}

async function run(checks, server) {
  for (const { name, expects = [], check } of checks) {
    if (values.only && !name.includes(values.only)) continue;
    const began = performance.now();
    const told = [];
    try {
      await browser.expecting(expects, () => check({ browser, server, people: PEOPLE, tell: (text) => told.push(text) }));
    } catch (error) {
      throw new Error(`failed: ${name}: ${error.stack}`);
    }
    passed += 1;
    print(`ok ${seconds(began)}  ${[name, ...told].join("; ")}`);
  }
}

function seconds(began) {
  return `${((performance.now() - began) / 1000).toFixed(2).padStart(6)} s`;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
