// Looks at agents at work in a real browser and ends with 0, or says what is not as it should be.
//
//   node working.mjs MODULES CHROMIUM BASE FOLDER SHOTS
//
// As browser.mjs; FOLDER is where the agents write. What they are and say stands in working.rs.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { ground } from "./ground.mjs";

const [modules, executablePath, base, folder, shots] = process.argv.slice(2);
const { browser, open, watchShifts, looks, accessible, wrong } = await ground(modules, executablePath, base, shots);

const workflows = (await (await fetch(`${base}api/v1/workflows`)).json()).items;
const idOf = (name) => workflows.find((it) => it.name === name).id;
const begin = async (definition) => {
  const answer = await fetch(`${base}api/v1/workflows`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ definition }),
  });
  return (await answer.json()).id;
};

async function hearsWhatIsSaid() {
  const page = await open(`workflows/${await begin("speak")}`);
  const speech = [];
  page.on("request", (it) => it.url().includes("text.delta") && speech.push(it));
  const over = new Promise((over) => {
    for (const end of ["requestfailed", "requestfinished"]) page.on(end, (it) => it.url().includes("text.delta") && over());
  });
  await page.locator("#t-0 .pill.moving").waitFor();
  assert.equal(speech.length, 0, "nobody looks, and it listens");
  await page.locator("#t-0 a").click();
  const box = page.locator(".saying");
  await box.getByText("word3 ").waitFor();
  const before = await box.boundingBox();
  await watchShifts(page);
  await box.getByText("word20 ").waitFor();
  assert.deepEqual(await box.boundingBox(), before, "it grows inside");
  assert.deepEqual(await page.evaluate(() => window.shifted), []);
  const said = await box.innerText();
  assert.ok(said.startsWith("<img src=x onerror=alert(1)>"), said.slice(0, 80));
  assert.equal(await page.locator("main img").count(), 0);
  // What is written anew is in sight, as nobody has read further up.
  const down = () => box.evaluate((it) => it.scrollTop + it.clientHeight > it.scrollHeight - 24);
  assert.ok(await down(), "the newest words are in sight");
  await page.screenshot({ path: path.join(shots, "speaking-light.png") });
  await page.locator("#turn-1 .pill.good").waitFor();
  assert.equal(await box.count(), 0);
  const whole = await page.locator("#turn-1 pre").last().innerText();
  assert.ok(whole.startsWith("<img") && whole.endsWith("word40"), whole);
  await over;
  assert.equal(speech.length, 1);
  const cost = page.locator(".spent div", { hasText: "Cost" });
  await cost.getByText("unknown").waitFor();
  await page.close();
}

async function approvesExactlyThat() {
  const page = await open("");
  const card = page.locator(".card", { hasText: "write" });
  const shown = await card.innerText();
  for (const part of ["fs.write", '"path": "made.txt"', "exactly \\u202ethis", "where you will find it", "this one call and no other"]) {
    assert.ok(shown.includes(part), `${part} in ${shown}`);
  }
  // A form that was made for another call is good for nothing.
  const form = await card.locator("form").evaluate((it) => ({ to: it.action, sent: [...new FormData(it)] }));
  const other = new URLSearchParams([...form.sent.filter(([name]) => name !== "digest"), ["digest", "0".repeat(64)], ["verb", "approve"]]);
  assert.equal((await fetch(form.to, { method: "POST", body: other })).status, 422);
  assert.ok(!fs.existsSync(path.join(folder, "made.txt")));
  await card.focus();
  await page.keyboard.press("a");
  await card.waitFor({ state: "detached" });
  await page.locator(`#w-${idOf("write")} .pill.good`).waitFor();
  assert.equal(fs.readFileSync(path.join(folder, "made.txt"), "utf8"), "exactly \u202ethis");
  await page.close();
}

async function answersInWords() {
  const page = await open("");
  const card = page.locator(".card", { hasText: "hand" });
  await card.getByText("Answer…").click();
  await card.getByLabel("Your answer").fill("By hand.\n<b>Done.</b>");
  await card.getByRole("button", { name: "Send the answer" }).click();
  await card.waitFor({ state: "detached" });
  const shown = await (await fetch(`${base}api/v1/workflows/${idOf("hand")}`)).json();
  assert.equal(shown.output, "By hand.\n<b>Done.</b>");
  await page.close();
}

// Everything that is asked can be answered where no script runs.
async function raisesWithoutScript() {
  const page = await open("", { ...looks.narrow, javaScriptEnabled: false });
  await page.screenshot({ path: path.join(shots, "asked-noscript.png"), fullPage: true });
  const card = page.locator(".card", { hasText: "think" });
  const tokens = card.getByLabel("tokens");
  assert.equal(await tokens.inputValue(), "10000");
  await tokens.fill("");
  await card.getByRole("button", { name: "Raise" }).click();
  await page.getByText("say by how much").waitFor();
  // That it was refused stands on the console too.
  assert.match(wrong.pop(), /status of 400/);
  await page.goto(`${base}workflows/${idOf("think")}`);
  const used = page.locator(".spent div", { hasText: "Tokens" });
  assert.match(await used.innerText(), /9,050 of 10,000/);
  await page.getByLabel("tokens").fill("20000");
  await page.getByRole("button", { name: "Raise" }).click();
  await until(idOf("think"), "completed");
  await page.goto(`${base}workflows/${idOf("think")}`);
  assert.match(await used.innerText(), /18,155 of 30,000 \(raised\)/);
  assert.match(await page.locator(".spent").innerText(), /scripted\/desk\s+scripted/);
  await page.close();
}

async function until(id, status) {
  let shown = await (await fetch(`${base}api/v1/workflows/${id}`)).json();
  while (shown.status !== status) {
    shown = await (await fetch(`${base}api/v1/workflows/${id}?revision=${shown.revision + 1}&wait=30s`)).json();
  }
}

async function booksAddUp() {
  const page = await open("");
  await page.keyboard.press("g");
  await page.keyboard.press("u");
  await page.waitForURL(`${base}usage`);
  for (const by of ["Day (UTC)", "Agent", "Workflow", "User", "Model"]) {
    await page.getByRole("link", { name: by, exact: true }).click();
    await page.locator("thead th", { hasText: by }).waitFor();
  }
  const told = await (await fetch(`${base}api/v1/usage?by=model`)).json();
  const cells = (row) => row.locator("td").allInnerTexts();
  for (const [place, item] of told.items.entries()) {
    const row = page.locator(".books tbody tr").nth(place);
    assert.match(await row.locator("th").innerText(), new RegExp(`^${item.key}\\s+scripted$`));
    const [calls, read, , written, cost] = await cells(row);
    const plain = [calls, read, written].map((cell) => Number(cell.replaceAll(",", "")));
    assert.deepEqual(plain, [item.calls, item.input_tokens, item.output_tokens]);
    assert.equal(cost, item.cost_usd ? `$${item.cost_usd}` : "unknown");
  }
  const [, , , , cost] = await cells(page.locator(".books tfoot tr"));
  assert.equal(cost, `at least $${told.total.cost_usd}`);
  await page.goto(`${base}usage?by=nothing&from=tomorrow`);
  await page.getByRole("alert").getByText("tomorrow").waitFor();
  await page.close();
}

try {
  await accessible("nothing-used", "usage?workflow=&from=2001-01-01&to=2001-01-02");
  await accessible("asked", "");
  for (const name of ["write", "hand"]) await accessible(`asking-${name}`, `workflows/${idOf(name)}?task=0`);
  await hearsWhatIsSaid();
  await approvesExactlyThat();
  await answersInWords();
  await raisesWithoutScript();
  await booksAddUp();
  for (const by of ["model", "workflow"]) await accessible(`usage-${by}`, `usage?by=${by}`);
  await accessible("worked", `workflows/${idOf("think")}?task=0`);
  assert.deepEqual(wrong, []);
} finally {
  await browser.close();
}
