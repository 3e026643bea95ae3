// Sallyport's one script. Every page works without it. It does five things: it merges the fragments that the page's
// event stream sends, sends marked forms in place, sends files in pieces, copies digests, and prints.
// It evaluates nothing, talks to its own origin only, and keeps nothing in the browser.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const own = (path) => new URL(path, location.href).origin === location.origin;
  const here = () => location.pathname + location.search;
  let shown = here();

  // merge turns a into b and keeps what a reader holds: focus, open menus, typed text.
  const key = (n) => n.nodeType === 1 ? `${n.nodeName} ${n.getAttribute("id") || ""} ${n.getAttribute("name") || ""}` : n.nodeType;
  function merge(a, b) {
    if (key(a) !== key(b)) return a.replaceWith(b);
    if (a.nodeType !== 1) return a.data === b.data || (a.data = b.data);
    for (const { name } of [...a.attributes]) if (!b.hasAttribute(name) && name !== "open") a.removeAttribute(name);
    for (const { name, value } of [...b.attributes]) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
    const olds = [...a.childNodes], news = [...b.childNodes];
    news.forEach((n, i) => i < olds.length ? merge(olds[i], n) : a.append(n));
    olds.slice(news.length).forEach((n) => n.remove());
  }

  const lost = (is) => { $("#offline").hidden = !is; };
  const say = (words) => { $("#say").textContent = words; };
  const go = (path) => { if (own(path)) location.assign(path); };

  // show puts an answer on the screen: merged when it is this page again, its content renewed when a form was answered.
  async function show(answer, renew) {
    lost(false);
    const type = answer.headers.get("Content-Type") || "";
    if (!own(answer.url) || !type.startsWith("text/html")) return go(answer.url);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = $("main", page);
    if (!main || !$("main") || !$("#nav") !== !$("#nav", page)) return go(answer.url);
    document.title = page.title;
    const said = $("#said"); // what was said after a redirect stays while the page renews itself
    if (!renew && said && !$("#said", page)) main.prepend(said.cloneNode(true));
    if (renew) $("main").replaceWith(main.cloneNode(true));
    merge(document.body, page.body);
    ready();
    if (!renew) return;
    const path = new URL(answer.url).pathname + new URL(answer.url).search;
    if (answer.redirected && path !== here()) history.pushState(null, "", path);
    shown = here();
    const target = $("main [aria-invalid], main [autofocus]") || $("main h1");
    if (target) target.focus();
    if (answer.redirected) scrollTo(0, 0);
    say(document.title);
    listen();
  }
  async function refresh() {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname !== location.pathname) return go(answer.url);
      if (answer.ok) await show(answer, false);
    } catch { lost(true); }
  }

  // One event stream a page. A hidden tab closes its own; whoever comes back reads the page again.
  let stream, timer;
  function close() {
    clearTimeout(timer);
    if (stream) stream.close();
    stream = null;
  }
  function listen() {
    close();
    const main = $("main"), path = main && main.dataset.events;
    if (!path || document.hidden || !own(path)) return;
    let missed = false;
    const mine = stream = new EventSource(path);
    mine.onopen = () => { lost(false); if (missed) again(); };
    mine.onmessage = (e) => { if (mine === stream) receive(JSON.parse(e.data)); };
    mine.onerror = () => {
      missed = true;
      if (mine !== stream) return;
      lost(true);
      if (mine.readyState === EventSource.CLOSED) timer = setTimeout(again, 3000);
    };
  }
  async function again() {
    close();
    await refresh();
    listen();
  }
  function receive(m) {
    if (m.go) return go(m.go);
    if (m.reload) return again();
    const old = m.id && document.getElementById(m.id);
    if (!old || typeof m.html !== "string") return;
    const box = document.createElement("template");
    box.innerHTML = m.html;
    if (box.content.firstElementChild) merge(old, box.content.firstElementChild);
    ready();
  }

  // Forms. getAttribute, because a field may be named "action".
  document.addEventListener("submit", async (e) => {
    const form = e.target;
    const pieces = form.hasAttribute("data-upload") && $("input[type=file]", form);
    if (e.defaultPrevented || !(pieces && pieces.files.length) && !form.hasAttribute("data-inplace")) return;
    const path = form.getAttribute("action") || here();
    if (!own(path)) return;
    e.preventDefault();
    if (form.getAttribute("aria-busy")) return;
    const data = new FormData(form, e.submitter);
    form.setAttribute("aria-busy", "true");
    try {
      if (pieces && pieces.files.length) return await upload(form, [...pieces.files]);
      const plain = form.getAttribute("enctype") !== "multipart/form-data";
      await show(await fetch(path, { method: "POST", body: plain ? new URLSearchParams(data) : data }), true);
    } catch (err) { lost(!err.status); } finally { form.removeAttribute("aria-busy"); }
  });

  // upload sends files in chunks that are numbered over all of them; what the appliance has already is not sent again, so
  // the same files go on where they stopped, in another tab or on another day.
  const json = (v) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(v) });
  const has = (have, n) => have !== "" && have.split(",").some((r) => { const [a, b = a] = r.split("-").map(Number); return a <= n && n <= b; });
  async function upload(form, files, again = true) {
    const base = form.dataset.upload, box = $(".uploading", form);
    const tell = (words, up) => {
      box.hidden = false;
      $("p", box).textContent = words;
      if (!up) return;
      const part = up.total ? Math.floor(100 * up.bytes / up.total) : 100;
      $(".fill rect", box).setAttribute("width", part + "%");
      $(".bar", box).setAttribute("aria-valuenow", part);
      $("p + p", box).textContent = `${part} % of ${Math.ceil(up.total / 1048576)} MiB`;
    };
    const begun = await ask(base, json({ files: files.map((f) => ({ name: f.webkitRelativePath || f.name, size: f.size })) }), tell);
    let up = begun, chunk = "";
    try {
      for (const [i, f] of begun.files.entries()) {
        for (let k = 0; k < f.chunks; k++) {
          if (has(up.have, f.first + k)) continue;
          tell(`Sending ${f.name}`, up);
          const body = files[i].slice(k * begun.chunkBytes, (k + 1) * begun.chunkBytes);
          chunk = `${base}/${begun.id}/chunks/${f.first + k}`;
          up = await ask(chunk, { method: "PUT", headers: { "Content-Type": "application/octet-stream" }, body }, tell);
        }
      }
      chunk = "";
      tell("Checking what has arrived", up);
      await ask(`${base}/${begun.id}/complete`, json({}), tell);
    } catch (err) {
      if (!again || err.status !== 404 && err.status !== 409) throw err;
      if (chunk && err.status === 409) await ask(`${base}/${begun.id}/remove`, json({}), tell); // the files are others now
      return upload(form, files, false);
    }
    go(form.dataset.next + begun.id);
  }
  // ask tries until the appliance answers; a refusal is shown in its own words.
  async function ask(path, request, tell) {
    for (let wait = 1; ; wait = Math.min(2 * wait, 30)) {
      const answer = await fetch(path, request).catch(() => null);
      if (answer && answer.redirected) go(answer.url);
      if (answer && answer.ok) { lost(false); return answer.json(); }
      if (answer && ![429, 502, 503, 504].includes(answer.status)) {
        const why = await answer.json().catch(() => ({}));
        tell([why.detail || why.title || "The appliance did not take this file.", why.next].filter(Boolean).join(". "));
        throw Object.assign(new Error("refused"), { status: answer.status });
      }
      lost(!answer);
      await new Promise((next) => setTimeout(next, 1000 * (answer && Number(answer.headers.get("Retry-After")) || wait)));
    }
  }

  // Digests: the whole one by click or Enter.
  async function copy(el) {
    try { await navigator.clipboard.writeText(el.dataset.copy); } catch { return; }
    el.dataset.copied = "";
    say("Copied.");
    el.addEventListener("blur", () => delete el.dataset.copied, { once: true });
  }
  document.addEventListener("click", (e) => {
    const digest = e.target.closest("[data-copy]"), menu = $("details.menu[open]");
    if (digest) copy(digest);
    if (e.target.closest("[data-print]")) print();
    if (menu && !menu.contains(e.target)) menu.open = false;
  });
  document.addEventListener("keydown", (e) => {
    const digest = e.key === "Enter" && e.target.closest("[data-copy]"), menu = e.key === "Escape" && $("details.menu[open]");
    if (digest) copy(digest);
    if (menu) { menu.open = false; $("summary", menu).focus(); }
  });

  function ready() {
    for (const button of document.querySelectorAll("[data-print]")) button.hidden = false;
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else if ($("main[data-events]")) again(); });
  addEventListener("popstate", () => { if (here() !== shown) location.reload(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (e) => { if (e.persisted) again(); });
  ready();
  listen();
})();
