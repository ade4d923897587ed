// Holds conversations in a real browser and ends with 0, or says what is not as it should be.
//
//   node chat.mjs MODULES CHROMIUM BASE FOLDER SHOTS PART
//
// FOLDER is that of the server, with its gate and tokens; PART is which of the parts below is played.
// What the playbook asks and does stands in chat.rs.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { ground } from "./ground.mjs";

const [modules, executablePath, base, folder, shots, part] = process.argv.slice(2);
const { browser, open, watchShifts, looks, accessible, wrong } = await ground(modules, executablePath, base, shots);
const hostile = "tidy up my notes\n<img src=x onerror=alert(1)> \u202eturned";

const addressOf = (page) => new URL(page.url()).pathname.slice(1);
async function begin(text) {
  const page = await open("chat");
  await page.locator("#begin:focus").waitFor();
  await page.locator("#begin").fill(text);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/chat\/[^/]+$/);
  await page.locator("#live.is-live").waitFor();
  return page;
}
const said = (page, text) => page.locator(".entry .words", { hasText: text }).last();
async function say(page, text) {
  await page.locator("[data-draft]").fill(text);
  await page.keyboard.press("Enter");
  await said(page, text).waitFor();
}
const sentence = (page, text) => page.locator(".stands .sentence", { hasText: text }).waitFor();
const picture = (page, name) => page.screenshot({ path: path.join(shots, `chat-${name}.png`) });
const field = (page, question) => page.locator("fieldset", { hasText: question });

async function tellsWhatItDoes() {
  await accessible("chat-none", "chat");
  const page = await begin(hostile);
  const other = await open(addressOf(page), looks.narrow);
  await other.evaluate(() => { window.sameDocument = true; });
  await asksUntilItKnows(page);
  await plans(page, other);
  await runs(page, other);
  await closes(page, other);
  assert.equal(await other.evaluate(() => window.sameDocument), true, "it was never loaded anew");
  assert.equal(await page.locator("main img, main script").count(), 0);
  await accessible("chat-closed", addressOf(page));
  await listsAndLinks(page);
  await keepsItsPlace(page, other);
  await page.close();
  await other.close();
}

async function asksUntilItKnows(page) {
  // What else was said makes the request unsure: it asks which definition is meant, then what it lacks.
  const which = page.locator("form.asking").getByText("tidy-up", { exact: true });
  if (await which.or(field(page, "Folder of the notes")).first().waitFor().then(() => which.count())) {
    await which.click();
    await page.getByRole("button", { name: "Send the answer" }).click();
  }
  await sentence(page, "Waiting for your answers to 4 questions.");
  await accessible("chat-asked", addressOf(page));
  await accessible("chat-needs", "");
  const home = await open("");
  const card = home.locator(".card", { hasText: "tidy up my notes" });
  await card.getByText("Waiting for your answers to 4 questions.").waitFor();
  await home.close();
  assert.equal(await page.locator("form.asking").count(), 1, "one form for all");
  await page.getByText("Only what lies in it is <i>read</i>.").waitFor();
  assert.equal(await page.getByRole("spinbutton").getAttribute("max"), "9");
  // Nothing is answered: it says so, and keeps what is written elsewhere.
  await page.locator("[data-draft]").fill("half a word");
  await page.getByRole("button", { name: "Send the answers" }).click();
  await page.getByRole("alert").getByText("nothing is answered").waitFor();
  assert.match(wrong.pop(), /status of 4\d\d/);
  // Some are answered, one is left to Baton, the rest stays open.
  await field(page, "Folder of the notes").getByText("you decide").click();
  await field(page, "Folder of the notes").getByRole("textbox").fill("<i>notes</i>");
  await field(page, "How many subjects").getByRole("spinbutton").fill("3");
  await page.getByRole("button", { name: "Send the answers" }).click();
  await sentence(page, "Waiting for your answers to 2 questions.");
  await page.locator(".answers").getByText("<i>notes</i>").waitFor();
  await field(page, "How long").getByText("long <b>").click();
  await field(page, "Keep the old").getByText("skip").click();
  await page.getByRole("button", { name: "Send the answers" }).click();
  await page.locator(".answers").getByText("skipped").waitFor();
  assert.equal(await page.locator("[data-draft]").inputValue(), "half a word");
}

async function plans(page, other) {
  await sentence(page, "Waiting for your review of the plan");
  const plan = await page.locator(".plan").innerText();
  for (const part of ["tidy-up", "<b>by subject</b>", "<i>notes</i>", "long <b>", "Sort them", "shell.run", "changes something, once",
    "after Read the notes", "a person", "Forecast", "Taken for granted", "Keep the old files", "It will not", "Ask a model", "Full review"]) {
    assert.ok(plan.includes(part), `${part} in ${plan}`);
  }
  await accessible("chat-plan", addressOf(page));
  await page.emulateMedia({ colorScheme: "dark" });
  await picture(page, "plan-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await other.getByRole("button", { name: "Approve and start" }).click();
}

async function runs(page, other) {
  await sentence(page, "Running “\u2068tidy-up\u2069”: 1 of 5 tasks.");
  await page.getByRole("button", { name: "Stop" }).waitFor();
  assert.equal(await page.locator(".plan .run progress").getAttribute("value"), await other.locator(".plan .run progress").getAttribute("value"));
  await watchShifts(page);
  fs.writeFileSync(path.join(folder, "gate"), "go\n");
  const card = page.locator(".run .card", { hasText: "Is that right? <script>" });
  await card.waitFor();
  await sentence(other, "waits for your answer: 2 of 5 tasks.");
  assert.deepEqual(await page.evaluate(() => window.shifted), [], "nothing moves while it goes on");
  await accessible("chat-person", addressOf(page));
  await card.getByRole("button", { name: "Approve" }).click();
}

async function closes(page, other) {
  for (const seen of [page, other]) {
    await sentence(seen, "Nothing is being done: say what comes next.");
    const closing = seen.locator(".closing");
    const told = await closing.innerText();
    for (const part of ["tidy-up is done, with errors: 4 of 5 tasks", "lacks failed", "none.csv", "Three subjects: <b>a</b>, b, c."]) {
      assert.ok(told.includes(part), `${part} in ${told}`);
    }
    await closing.getByText("5 tasks behind it").click();
    assert.equal(await closing.locator(".behind a").count(), 5);
  }
  assert.equal(await page.getByRole("button", { name: "Stop" }).count(), 0);
  // What another browser says is there without a reload, line by line.
  await other.locator("[data-draft]").fill("one");
  await other.keyboard.press("Shift+Enter");
  await other.keyboard.type("<b>two</b> /stop");
  await other.keyboard.press("Control+Enter");
  await said(page, "<b>two</b>").waitFor();
  assert.equal(await said(page, "<b>two</b>").innerText(), "one\n<b>two</b> /stop");
  assert.equal(await other.locator("[data-draft]").inputValue(), "");
}

async function listsAndLinks(page) {
  const talk = page.url();
  await page.locator(".closing .line a").click();
  await page.waitForURL(/\/workflows\//);
  await page.locator(".meta a", { hasText: "tidy up my notes" }).click();
  await page.waitForURL(talk);
  await page.locator("#main").focus();
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.waitForURL(`${base}chat`);
  await page.locator("tr[data-line]", { hasText: "tidy up my notes" }).waitFor();
  await accessible("chat-list", "chat");
  await page.goto(talk);
  await page.locator("#live.is-live").waitFor();
}

// Who reads above stays there; who is at the end sees what is new.
async function keepsItsPlace(page, other) {
  await page.evaluate(() => scrollTo(0, 60));
  const before = await page.evaluate(() => scrollY);
  await say(other, "what is new");
  await page.getByRole("button", { name: /\d new/ }).waitFor();
  assert.equal(await page.evaluate(() => scrollY), before);
  const down = (seen) => seen.evaluate(() => innerHeight + scrollY > document.documentElement.scrollHeight - 32);
  assert.ok(await down(other), "who says something sees it");
  await page.getByRole("button", { name: /\d new/ }).click();
  assert.ok(await down(page));
  await page.getByRole("button", { name: /\d new/ }).waitFor({ state: "detached" });
}

// Everything can be said and answered where no script runs.
async function worksWithoutScript() {
  const page = await open("chat", { ...looks.narrow, javaScriptEnabled: false });
  await page.locator("#begin").fill("tidy up my notes");
  await page.getByRole("button", { name: "Begin" }).click();
  await page.waitForURL(/\/chat\/[^/]+$/);
  const again = async (locator) => {
    for (let left = 50; left > 0 && !(await locator.count()); left -= 1) await page.reload();
    await locator.first().waitFor();
  };
  await again(page.locator("form.asking"));
  await field(page, "Folder of the notes").getByRole("textbox").fill("notes");
  await field(page, "How many subjects").getByRole("spinbutton").fill("3");
  for (const question of ["How long", "Keep the old"]) await field(page, question).getByText("you decide").click();
  await page.getByRole("button", { name: "Send the answers" }).click();
  await again(page.locator(".plan form"));
  await picture(page, "noscript");
  await page.getByText("Send it back…").click();
  await page.getByLabel("What should change").fill("<u>fewer</u>");
  await page.getByRole("button", { name: "Send back" }).click();
  await page.getByText("Sent back: <u>fewer</u>").waitFor();
  await again(page.locator(".words", { hasText: "will not run" }));
  for (const [button, told] of [["Claim", "has taken this conversation over"], ["Release", "Released"], ["Close", "Closed."]]) {
    await page.locator(".menu summary").click();
    await page.getByRole("button", { name: button }).click();
    await page.locator(".entry.notice", { hasText: told }).waitFor();
  }
  await page.close();
}

// HO5: two conversations in two tabs, and in one where they are switched faster than they are answered.
async function keepsConversationsApart() {
  const one = await begin("tidy up my notes of the first");
  await sentence(one, "Waiting for your answer");
  const other = await begin("something of the second");
  await said(other, "I have no playbook for that").waitFor();
  const [first, second] = [one, other].map((page) => addressOf(page).split("/").pop());

  // At no moment does anything stand under a conversation that it is not of.
  const watch = (page) => page.evaluate(() => {
    window.mixed = [];
    const look = () => document.querySelectorAll("[data-of]").forEach((it) => {
      const owner = it.closest("[data-talk]")?.dataset.talk;
      if (it.dataset.of !== owner) window.mixed.push(`${it.dataset.of} under ${owner}`);
    });
    new MutationObserver(look).observe(document.getElementById("main"), { subtree: true, childList: true, attributes: true });
  });
  for (const page of [one, other]) await watch(page);
  await Promise.all([say(one, "only in the first"), say(other, "only in the second")]);
  assert.equal(await said(one, "only in the second").count(), 0);
  assert.equal(await said(other, "only in the first").count(), 0);

  // The answers for the first come late: the second was chosen meanwhile.
  await one.route(`**/chat/${first}`, async (route) => {
    const answer = await route.fetch();
    await new Promise((later) => setTimeout(later, 300));
    await route.fulfill({ response: answer });
  });
  const to = (id) => one.locator(`#c-${id} a`).click();
  const shows = (id) => one.locator(`#talk-${id}`).waitFor();
  await one.locator("[data-draft]").fill("draft of the first");
  await to(second);
  await shows(second);
  assert.equal(await one.locator("[data-draft]").inputValue(), "", "what is typed belongs to one");
  await one.locator("[data-draft]").fill("draft of the second");
  for (let turn = 0; turn < 5; turn += 1) { await to(first); await to(second); }
  await one.waitForResponse((it) => it.url().endsWith(first));
  await say(other, "heard after the switch");
  await said(one, "heard after the switch").waitFor();
  assert.equal(await one.locator("[data-talk]").getAttribute("data-talk"), second);
  assert.equal(await said(one, "only in the first").count(), 0);
  assert.equal(await one.locator("[data-draft]").inputValue(), "draft of the second");
  await to(first);
  await shows(first);
  assert.equal(await one.locator("[data-draft]").inputValue(), "draft of the first");
  assert.equal(await one.locator(".stands .sentence").innerText().then((it) => it.includes("Waiting")), true);
  // What is sent belongs to where it was typed, wherever one looks by then.
  await one.locator("[data-draft]").press("Enter");
  await to(second);
  await shows(second);
  await to(first);
  await said(one, "draft of the first").waitFor();
  assert.equal(await said(other, "draft of the first").count(), 0);
  for (const page of [one, other]) assert.deepEqual(await page.evaluate(() => window.mixed), []);
}

// HO2: who may not write is told why, and how to; whoever began it still may.
async function handsOver() {
  const enter = async (name) => {
    const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
    await page.goto(`${base}chat`);
    await page.getByLabel("Token").fill(fs.readFileSync(path.join(folder, `${name}.token`), "utf8"));
    await page.keyboard.press("Enter");
    await page.waitForURL(`${base}chat`);
    return page;
  };
  const [ada, bob] = [await enter("ada"), await enter("bob")];
  await ada.locator("#begin").fill("what can you do");
  await ada.keyboard.press("Enter");
  await ada.waitForURL(/\/chat\/[^/]+$/);
  await ada.locator("[data-draft]").fill("/escalate it is about <b>money</b>");
  await ada.keyboard.press("Enter");
  await sentence(ada, "Escalated: ");
  await bob.goto(ada.url());
  await bob.locator(".barred", { hasText: "Only ada, who began it, may write here." }).waitFor();
  assert.equal(await bob.locator("[data-draft]").count(), 0);
  await picture(bob, "barred");
  await bob.getByRole("button", { name: "Claim it" }).click();
  await bob.locator("[data-draft]").waitFor();
  await sentence(ada, "bob has taken it over.");
  await say(bob, "I look after it");
  await said(ada, "I look after it").waitFor();
  await say(ada, "Thank you");
  await said(bob, "Thank you").waitFor();
  await bob.locator(".menu summary").click();
  await bob.getByRole("button", { name: "Release" }).click();
  await bob.locator(".barred").waitFor();
}

const parts = {
  talk: async () => { await tellsWhatItDoes(); await worksWithoutScript(); },
  ho5: keepsConversationsApart,
  ho2: handsOver,
};
try {
  await parts[part]();
  assert.deepEqual(wrong, []);
} finally {
  await browser.close();
}
