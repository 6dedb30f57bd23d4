// The frame around all pages: who is it, which pages are there for this role, and in which language.

import { api, enter, forgetToken, hasToken, Offline, Refused, takeToken } from "./api.js";
import { $, el, fill, filled } from "./dom.js";

/** Page -> its module, which has show(main, app) and gives back a function that ends it. */
const PAGES = {
  vote: () => import("./vote.js"),
  data: () => import("./data.js"),
  suggest: () => import("./suggest.js"),
  model: () => import("./model.js"),
  monitor: () => import("./watch/watch.js"),
  team: () => import("./team.js"),
  try: () => import("./try.js"),
};
const LANGUAGE = "emolab-language";

const app = {
  me: null, words: {}, language: "en",
  /** The text called "page.name" in the language of the pages. */
  t: (name, values = {}) => filled(name.split(".").reduce((found, key) => found?.[key], app.words) ?? name, values),
  api, line,
  /** Show in the middle of the page why it cannot go on. */
  stop: stopped,
};
let end = null, shown = null;

/** Say how the line to the server is: "good", "wait" or "bad". */
function line(kind, text = "") {
  $("line").dataset.kind = kind;
  if ($("line").textContent !== text) $("line").textContent = text;
}

async function start() {
  takeToken();
  try {
    if (hasToken()) await enter();
    app.me = await api("GET", "/app/api/me");
  } catch (error) {
    await loadWords(navigator.language.slice(0, 2));
    stopped(error);
    return;
  }
  const kept = localStorage.getItem(LANGUAGE);
  await loadWords(app.me.languages.includes(kept) ? kept : app.me.language);
  frame();
  addEventListener("hashchange", open);
  await open();
}

async function loadWords(language) {
  const known = ["en", "de", "es", "fr", "ru"].includes(language) ? language : "en";
  const files = ["nouns", known, `look/${known}`].map(async (name) => (await fetch(`/app/static/words/${name}.json`)).json());
  const [nouns, ...texts] = await Promise.all(files);
  app.words = named(Object.assign({}, ...texts), nouns[known], app.me?.samples);
  app.language = known;
  document.documentElement.lang = known;
  $("skip-link").textContent = app.t("shell.skip");
  $("language-label").textContent = app.t("shell.language");
}

/** `words` with what one sample is called: texts have the words for faces in braces, `nouns` those for other `samples`. */
function named(words, nouns, samples) {
  if (typeof words !== "string") return Object.fromEntries(Object.entries(words).map(([key, value]) => [key, named(value, nouns, samples)]));
  return words.replace(/\{(\p{L}+)\}/gu, (whole, noun) => (noun in nouns ? nouns[noun][samples] ?? noun : whole));
}

function frame() {
  document.title = `emolab · ${app.me.project}`;
  $("project").textContent = app.me.project;
  $("who").textContent = app.me.name;
  const select = $("language");
  $("languages").hidden = false;
  fill(select, app.me.languages.map((code) => el("option", { value: code, selected: code === app.language }, code)));
  select.onchange = async () => {
    localStorage.setItem(LANGUAGE, select.value);
    await loadWords(select.value);
    frame();
    await open(true);
  };
  const pages = app.me.pages.filter((page) => page in PAGES);
  fill($("nav"), pages.length < 2 ? [] : pages.map((page) =>
    el("a", { href: `#/${page}`, data: { page } }, app.t(app.words.pages[page] ? `pages.${page}` : `shell.pages.${page}`))));
}

async function open(again = false) {
  const page = location.hash.startsWith("#/") ? location.hash.slice(2).split(/[/?]/)[0] : app.me.pages[0];
  if (page === shown && again !== true) return;
  const wanted = app.me.pages.includes(page) && page in PAGES ? page : app.me.pages[0];
  if (end) end();
  [end, shown] = [null, wanted];
  for (const link of $("nav").children) {
    if (link.dataset.page !== wanted) { link.removeAttribute("aria-current"); continue; }
    link.setAttribute("aria-current", "page");
    link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  fill($("main"));
  try {
    const module = await PAGES[wanted]();
    if (shown === wanted) end = await module.show($("main"), app);
  } catch (error) {
    stopped(error);
  }
}

function stopped(error) {
  if (end) end();
  end = null;
  const known = ["link_revoked", "link_expired", "link_unknown", "session_missing", "not_allowed"];
  const kind = error instanceof Offline ? "offline" : error instanceof Refused && known.includes(error.kind)
    ? error.kind : "failed";
  if (kind.startsWith("link_")) forgetToken();
  if (kind === "failed") console.error(error);
  fill($("main"), el("section", { class: "card notice", role: "alert", data: { kind } },
    el("h1", {}, app.t(`shell.${kind}.title`)),
    el("p", {}, app.t(`shell.${kind}.text`)),
    kind === "failed" && el("p", { class: "soft" }, [error.message, error.hint].filter(Boolean).join(" ")),
    ["offline", "failed"].includes(kind) &&
      el("button", { type: "button", onclick: () => location.reload() }, app.t("shell.again"))));
  line("bad");
}

await start();
