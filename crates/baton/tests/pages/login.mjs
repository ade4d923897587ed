// Logs in and out in a real browser and ends with 0, or says what is not as it should be.
//
//   node login.mjs MODULES CHROMIUM BASE TOKEN SHOTS
//
// MODULES holds playwright-core and axe-core; TOKEN is one of the role `operator`, whose name it is.
// What is run, and what it is called, stands in ../pages.rs.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [modules, executablePath, base, token, shots] = process.argv.slice(2);
const require = createRequire(path.join(modules, "/"));
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core"), "utf8");
const quietly = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, args: quietly });
const wrong = [];
// What is answered with 401 is told on the console; everything else there is a fault.
const isTold = (text) => /status of 401/.test(text);

async function accessible(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const told = violations.map((it) => `${it.id}: ${it.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
    assert.deepEqual(told, [], `${name}, ${colorScheme}`);
    await page.screenshot({ path: path.join(shots, `${name}-${colorScheme}.png`) });
  }
}

async function give(page, text) {
  await page.getByLabel("Token").fill(text);
  await page.keyboard.press("Enter");
}

try {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.on("console", (it) => ["error", "warning"].includes(it.type()) && !isTold(it.text()) && wrong.push(it.text()));
  page.on("pageerror", (it) => wrong.push(it.message));

  await page.goto(`${base}?q=is:waiting`);
  await page.waitForURL(/\/login\?next=/);
  await page.locator("#token:focus").waitFor();
  await accessible(page, "login");
  await give(page, "baton_wrong");
  await page.getByRole("alert").waitFor();
  await accessible(page, "login-wrong");
  assert.deepEqual(await context.cookies(), []);

  await give(page, token);
  await page.waitForURL(`${base}?q=is:waiting`);
  await page.locator("#live.is-live").waitFor();
  const [cookie, ...others] = await context.cookies();
  assert.deepEqual(others, []);
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.value.includes(token)], [true, "Strict", false]);
  assert.equal(await page.evaluate(() => document.cookie), "", "no script reads it");
  await page.goto(base);
  await page.locator("#live.is-live").waitFor();
  await accessible(page, "logged-in");

  // What happens is seen; what a page does is done in the token's name.
  const started = await page.evaluate(async () => {
    const definition = { name: "seen", version: 1, stages: [{ name: "s", tasks: [{ id: "agree", human: "approval", ask: "May it" }] }] };
    const answer = await fetch("api/v1/workflows", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ definition }) });
    return [answer.status, (await answer.json()).id];
  });
  assert.equal(started[0], 201);
  await page.getByRole("button", { name: "Approve" }).click();
  await page.locator(`#w-${started[1]} .pill.good`).waitFor();
  const actors = await page.evaluate(async (id) => {
    const { items } = await (await fetch(`api/v1/workflows/${id}/events`)).json();
    return [...new Set(items.map((it) => it.actor))];
  }, started[1]);
  assert.ok(actors.includes("client:operator"), `${actors}`);

  // A stream that is opened by a ticket, as a page of another program would.
  const told = await page.evaluate(async () => {
    const { ticket } = await (await fetch("api/v1/tickets", { method: "POST" })).json();
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/v1/ws?ticket=${ticket}`);
    await new Promise((open, refused) => { socket.onopen = open; socket.onerror = refused; });
    socket.send(JSON.stringify({ after: 0 }));
    const { data } = await new Promise((came) => { socket.onmessage = came; });
    socket.close();
    return JSON.parse(data).event;
  });
  assert.equal(told, "token.updated");

  // Whoever leaves in one place has left in all of them.
  const other = await context.newPage();
  await other.goto(`${base}workflows/${started[1]}`);
  await other.locator("#live.is-live").waitFor();
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(/\/login$/);
  await other.waitForURL(/\/login\?next=workflows/);
  assert.deepEqual(await context.cookies(), []);
  await page.goto(base);
  await page.waitForURL(/\/login/);
  assert.deepEqual(wrong, []);
} finally {
  await browser.close();
}
