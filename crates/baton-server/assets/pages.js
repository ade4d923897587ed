// Keeps a page current and lets it be used from the keyboard. The server renders; this script reads
// the page again on news and changes what differs in place, so that focus, selection, what is typed
// and what is unfolded stay. Without it every page and form works by loading anew.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const main = byId("main");
  const quiet_ms = 100; // news within this span share one reading

  // Changing in place: `id` says which element is which; everything else goes by its place.
  const sameKind = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  function change(from, to) {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== 1) { from.nodeValue = to.nodeValue; return; }
    if (from.dataset.turn && from.dataset.turn === to.dataset.turn) return; // what is heard there stays
    for (const { name } of [...from.attributes])
      if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
    for (const { name, value } of to.attributes)
      if (name !== "open" && from.getAttribute(name) !== value) from.setAttribute(name, value);
    const byKey = new Map();
    for (const child of from.children) if (child.id) byKey.set(child.id, child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const known = wanted.id && byKey.get(wanted.id);
      if (known && known.nodeName === wanted.nodeName) {
        if (known === at) at = at.nextSibling; else from.insertBefore(known, at);
        change(known, wanted);
      } else if (at && sameKind(at, wanted)) {
        const present = at;
        at = at.nextSibling;
        change(present, wanted);
      } else from.insertBefore(wanted, at);
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  }

  // Reading the page again; the newest reading wins.
  let reading = 0;
  async function show(answer, turn) {
    if (answer.redirected) { location.assign(answer.url); return; } // the session is over
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== reading) return;
    const fault = page.querySelector("[data-fault]");
    if (!page.getElementById("main")) return say(`The server answers ${answer.status}.`);
    if (fault) return say([...fault.querySelectorAll("h1, p")].map((it) => it.textContent).slice(0, 2).join(": "));
    // What carries another conversation's id than the address is nothing for this page.
    if (talkOf(page) !== location.pathname.match(/\/chat\/([^/]+)$/)?.[1]) return;
    const reader = place(page);
    document.title = page.title;
    change(main, page.getElementById("main"));
    if (document.body.dataset.stream !== page.body.dataset.stream) {
      document.body.dataset.stream = page.body.dataset.stream;
      follow();
    }
    tick();
    listen();
    attend(reader);
  }

  // A conversation is read from its end. Who reads above its end stays there, and is told how much is new.
  const talkOf = (page) => page.querySelector("[data-talk]")?.dataset.talk;
  const entries = () => [...main.querySelectorAll("[data-entry]")].map((it) => Number(it.dataset.entry));
  const atEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 32;
  const toEnd = () => scrollTo(0, document.documentElement.scrollHeight);
  const seen = { of: null, entry: 0 };
  const place = (page) => ({ of: talkOf(document), atEnd: atEnd() || talkOf(page) !== talkOf(document) });
  function attend({ of, atEnd: follows }) {
    const own = talkOf(document);
    if (!own) return;
    if (own !== of) { // another conversation than before: what was typed in it comes back
      Object.assign(seen, { of: own, entry: 0 });
      const field = main.querySelector("[data-draft]");
      if (field && !field.value) field.value = sessionStorage.getItem(`draft ${own}`) ?? "";
    }
    if (follows) toEnd();
    unseen();
  }
  function unseen() {
    const box = main.querySelector("[data-unseen]");
    if (!box) return;
    if (atEnd()) seen.entry = Math.max(0, ...entries());
    const count = entries().filter((entry) => entry > seen.entry).length;
    const told = count ? `${count} new ↓` : "";
    if (box.textContent === told) return;
    box.replaceChildren();
    if (!count) return;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: told });
    button.addEventListener("click", () => { toEnd(); unseen(); });
    box.append(button);
  }
  addEventListener("scroll", unseen, { passive: true });
  addEventListener("input", ({ target }) => {
    if (target.dataset.draft) sessionStorage.setItem(`draft ${target.dataset.draft}`, target.value);
    // Who writes an answer does not skip the question.
    if (target.name?.startsWith("value.")) {
      const answers = target.closest("fieldset")?.querySelector(".given [value=value]");
      if (answers) answers.checked = true;
    }
  });

  async function refresh(address = location.href) {
    const turn = ++reading;
    try { await show(await fetch(address, { headers: { accept: "text/html" } }), turn); } catch { state("offline"); }
  }
  let busy = false, again = false;
  async function news() {
    if (busy) { again = true; return; }
    busy = true;
    const began = performance.now();
    await refresh();
    const pause_ms = Math.max(quiet_ms, 3 * (performance.now() - began)); // a slow page asks less often
    setTimeout(() => { busy = false; if (again) { again = false; news(); } }, pause_ms);
  }

  function state(word) { const live = byId("live"); live.textContent = word; live.className = `live is-${word}`; }
  let followed = null;
  function follow() {
    followed?.close();
    const source = followed = new EventSource(document.body.dataset.stream);
    source.addEventListener("open", () => { state("live"); news(); }); // what was missed meanwhile
    source.addEventListener("changed", news);
    source.addEventListener("error", () => {
      state("offline");
      if (source.readyState === EventSource.CLOSED) refresh(); // refused: the page says why, or leads to the login
    });
  }
  addEventListener("pagehide", () => { followed?.close(); heard?.source.close(); });
  addEventListener("pageshow", (event) => event.persisted && follow());

  // What a model says, while the panel of its running turn is open. Each piece says behind how many
  // characters (code points) it belongs, also where it is told again; the end of the text is shown.
  const said_max = 8000;
  let heard = null;
  function listen() {
    const box = main.querySelector("[data-turn]");
    if (heard?.turn === box?.dataset.turn) return;
    heard?.source.close();
    heard = null;
    if (!box) return;
    const own = heard = { turn: box.dataset.turn, source: new EventSource(box.dataset.follow), end: 0, text: [], due: false };
    own.source.addEventListener("text.delta", (event) => {
      const { stream, offset, seq, text } = JSON.parse(event.data);
      if (stream !== own.turn) return;
      own.text.length = Math.max(0, own.text.length - Math.max(0, own.end - offset));
      own.text.push(...text);
      own.end = seq;
      if (own.text.length > 2 * said_max) own.text = own.text.slice(-said_max);
      if (!own.due) { own.due = true; requestAnimationFrame(() => { own.due = false; utter(own); }); }
    });
    own.source.addEventListener("done", () => own.source.close());
  }
  function utter({ turn, text, end }) {
    const box = main.querySelector("[data-turn]");
    if (box?.dataset.turn !== turn) return;
    const follows = box.scrollTop + box.clientHeight > box.scrollHeight - 24; // else it is being read
    const shown = text.slice(-said_max);
    box.textContent = (shown.length < end ? "…" : "") + shown.join("");
    if (follows) box.scrollTop = box.scrollHeight;
  }

  // Ages grow between two readings, in the server's words.
  function tick() {
    for (const time of document.querySelectorAll("time[data-at]")) time.textContent = new Date(time.dateTime).toLocaleString();
    for (const time of document.querySelectorAll("time[data-age]")) {
      const s = Math.max(0, Math.floor((Date.now() - Date.parse(time.dateTime)) / 1000));
      const text = s < 5 ? "now" : s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min`
        : s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
      const said = time.dataset.age !== "ago" ? text : s < 5 ? "just now" : `${text} ago`;
      if (time.textContent !== said) time.textContent = said;
      time.title = new Date(time.dateTime).toLocaleString();
    }
  }

  let hides = null;
  function say(text) {
    const toast = byId("toast");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(hides);
    hides = setTimeout(() => { toast.hidden = true; }, 8000);
  }

  addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("[data-send]")) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    const field = form.querySelector("[data-draft]"), text = field?.value;
    const draft = (text) => { field.value = text; sessionStorage.setItem(`draft ${field.dataset.draft}`, text); };
    form.closest(".menu")?.removeAttribute("open");
    if (field) draft(""); // sent once, however often Enter is pressed
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      if (answer.ok) { if (field) toEnd(); await refresh(); return; }
      if (field && !field.value) draft(text);
      await show(answer, ++reading);
    } catch {
      if (field && !field.value) draft(text);
      say("The server does not answer; nothing is known of what became of this. Look again shortly.");
    }
  });
  addEventListener("click", async (event) => {
    const swap = event.target.closest("a[data-swap]");
    if (swap && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      history.pushState(null, "", swap.href);
      refresh();
    }
    for (const menu of main.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.removeAttribute("open");
    const copy = event.target.closest("[data-copy]");
    if (copy) { await navigator.clipboard?.writeText(copy.dataset.copy); say("Copied."); }
    if (event.target.closest("[data-help]")) byId("help").showModal();
  });
  addEventListener("popstate", () => refresh());

  // The keyboard.
  let before = "";
  function move(step) {
    const lines = [...document.querySelectorAll("[data-line]")];
    const at = lines.findIndex((line) => line.contains(document.activeElement));
    const next = lines[at < 0 ? (step > 0 ? 0 : lines.length - 1) : at + step];
    if (next) { (next.matches("tr") ? next.querySelector("[data-open]") : next).focus(); next.scrollIntoView({ block: "nearest" }); }
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("[data-enter]") && !event.shiftKey && !event.altKey && !event.isComposing) {
      event.preventDefault();
      event.target.form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select")) { if (event.key === "Escape") event.target.blur(); return; }
    const line = document.activeElement?.closest("[data-line]");
    const does = {
      "/": () => byId("filter").select(), "?": () => byId("help").showModal(),
      j: () => move(1), k: () => move(-1),
      i: () => before === "g" && document.querySelector("[data-go=i]").click(),
      c: () => before === "g" && document.querySelector("[data-go=c]").click(),
      u: () => before === "g" && document.querySelector("[data-go=u]").click(),
      a: () => line?.querySelector("[data-key=a]")?.click(), r: () => line?.querySelector("[data-key=r]")?.click(),
      Enter: () => line === document.activeElement && line.querySelector("[data-open]")?.click(),
    }[event.key];
    if (does && !byId("help").open) { if (event.key !== "Enter") event.preventDefault(); does(); }
    before = event.key;
  });

  tick();
  setInterval(tick, 1000);
  follow();
  listen();
  // Who comes back by the browser's own buttons, or to a place on the page, is left where that leads.
  const came = performance.getEntriesByType("navigation")[0]?.type;
  attend({ of: null, atEnd: came === "navigate" && (!location.hash || location.hash === "#end") });
})();
