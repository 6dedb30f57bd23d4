// The team: rounds, people and classes, agreement, who differs with whom, and the faces to talk about.

import { address } from "./data.js";
import { el, fill } from "./dom.js";
import { percent, picture } from "./wall.js";

export async function show(main, app) {
  const t = (name, values) => app.t(`team.${name}`, values);
  const state = { ended: false };
  fill(main, el("p", { role: "status" }, t("counting")));
  const load = async (fresh) => {
    const view = await app.api("GET", `/app/api/team${fresh ? "?fresh=1" : ""}`);
    if (state.ended) return;
    draw(main, app, t, view, () => load(true).catch((error) => app.stop(error)));
    if (view.counting) state.timer = setTimeout(() => load(false).catch((error) => app.stop(error)), 3000);
  };
  await load(false);
  return () => { state.ended = true; clearTimeout(state.timer); };
}

const n = (app, value) => value.toLocaleString(app.language);
const cell = (text, more = {}) => el("td", { class: "n", ...more }, text);

function draw(main, app, t, view, again) {
  const { status, people } = view;
  const refresh = el("button", { type: "button", class: "plain", disabled: view.counting, onclick: () => { refresh.disabled = true; again(); } }, t("again"));
  const head = el("div", { class: "head" }, el("h1", {}, t("title")), el("span", { class: "soft" }, t("as_of", { time: new Date(view.at).toLocaleTimeString(app.language) })), refresh,
    view.counting && el("span", { class: "soft", role: "status" }, t("counting")));
  if (!people.length) {
    fill(main, head, el("section", { class: "card notice" }, el("h1", {}, t("empty")), el("p", {}, t("empty_text")), el("pre", {}, view.next)));
    return;
  }
  const alpha = status.agreement;
  fill(main, head,
    el("section", { class: "card pad" }, el("h2", {}, t("agreement")),
      alpha.alpha === null ? el("p", {}, t("no_alpha")) : el("p", { class: "big" }, el("b", {}, alpha.alpha.toFixed(2)), " ",
        t("alpha", { low: (alpha.low ?? alpha.alpha).toFixed(2), high: (alpha.high ?? alpha.alpha).toFixed(2), n: n(app, alpha.samples) })),
      el("p", { class: "soft" }, t("alpha_text"))),
    status.rounds.length > 0 && el("section", { class: "card pad" }, el("h2", {}, t("rounds")), rounds(status.rounds, app, t)),
    el("section", { class: "card pad" }, el("h2", {}, t("people")), persons(view, app, t)),
    el("div", { class: "two even" },
      el("section", { class: "card pad" }, el("h2", {}, t("classes")), el("p", { class: "soft" }, t("classes_text")), classes(status.per_class, app, t)),
      el("section", { class: "card pad" }, el("h2", {}, t("pairs")), view.pairs.length ? [el("p", { class: "soft" }, t("pairs_text")), pairs(view, t)] : el("p", { class: "soft" }, t("no_pairs")))),
    el("section", { class: "card pad" }, el("h2", {}, t("disputed")), el("p", { class: "soft" }, t("disputed_text")),
      view.disputed.length ? disputed(view, t) : el("p", { class: "soft" }, t("no_disputed"))));
}

function rounds(all, app, t) {
  return el("ul", { class: "rounds" }, all.slice(-8).reverse().map((round) => {
    const share = round.wanted ? Math.min(1, round.votes / round.wanted) : 0;
    const told = round.sent ? t("round_told", { done: n(app, round.done), sent: n(app, round.sent), votes: n(app, round.votes), wanted: n(app, round.wanted) }) : t("round_unsent", { n: n(app, round.suggested) });
    return el("li", {}, el("b", {}, round.round === null ? t("no_round") : `${t("round")} ${round.round}`), el("progress", { max: "1", value: share.toFixed(4), "aria-label": told }), el("span", { class: "soft" }, told));
  }));
}

function persons(view, app, t) {
  const known = new Map(view.status.annotators.map((one) => [one.name, one]));
  const most = Object.fromEntries(view.classes.map((name) => [name, Math.max(1, ...view.people.map((one) => one.by_class[name]))]));
  const heads = [t("person"), t("votes"), t("same_as_others"), t("seconds"), t("skips"), ...view.classes];
  return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures" },
    el("thead", {}, el("tr", {}, heads.map((name, place) => el("th", { scope: "col", class: place ? "n" : null }, name)), el("th", { scope: "col" }, t("habit")))),
    el("tbody", {}, view.people.map((one) => {
      const told = known.get(one.name);
      const habit = told.most_confused;
      return el("tr", {}, el("th", { scope: "row" }, el("span", { class: "voter", title: one.called }, one.called)),
        cell(n(app, told.votes)), cell(told.agreement === null ? "–" : percent(told.agreement)), cell(told.median_seconds === null ? "–" : told.median_seconds.toFixed(1)), cell(n(app, told.skips)),
        view.classes.map((name) => cell(el("span", { class: "bar", style: { "--share": (one.by_class[name] / most[name]).toFixed(3) } }, n(app, one.by_class[name])))),
        el("td", { class: "habit" }, habit ? t("habit_told", { said: habit[1], others: habit[0] }) : ""));
    }))));
}

function classes(rows, app, t) {
  return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures" },
    el("thead", {}, el("tr", {}, ["class", "votes", "agreement", "confused_with"].map((name, place) => el("th", { scope: "col", class: place && place < 3 ? "n" : null }, t(name))))),
    el("tbody", {}, [...rows].sort((a, b) => (a.agreement ?? 2) - (b.agreement ?? 2)).map((row) => el("tr", {},
      el("th", { scope: "row" }, el("a", { href: address({ class: row.class, order: "disagreement" }) }, row.class)), cell(n(app, row.votes)),
      cell(row.agreement === null ? "–" : percent(row.agreement)), el("td", {}, row.confused_with ? `${row.confused_with} (${percent(row.confused)})` : ""))))));
}

function pairs(view, t) {
  const shown = [...new Set(view.pairs.flatMap((pair) => [pair.one, pair.other]))].sort((a, b) => a - b);
  const of = new Map(view.pairs.flatMap((pair) => [[`${pair.one} ${pair.other}`, pair], [`${pair.other} ${pair.one}`, pair]]));
  const box = (a, b) => {
    const pair = a === b ? null : of.get(`${a} ${b}`);
    if (!pair) return el("td", {});
    const told = t("pair", { one: view.people[a].called, other: view.people[b].called, same: pair.same, shared: pair.shared });
    const text = percent(pair.same / pair.shared);
    const differ = 1 - pair.same / pair.shared;
    return el("td", { style: { "--share": differ.toFixed(3) } }, differ ? el("a", { href: address({ of: `pair:${view.people[a].key}:${view.people[b].key}` }), title: told, "aria-label": `${text}: ${told}` }, text) : el("span", { title: told }, text));
  };
  return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "matrix" },
    el("thead", {}, el("tr", {}, el("td", {}), shown.map((a) => el("th", { scope: "col" }, el("span", { class: "voter" }, view.people[a].called))))),
    el("tbody", {}, shown.map((a) => el("tr", {}, el("th", { scope: "row" }, el("span", { class: "voter" }, view.people[a].called)), shown.map((b) => box(a, b)))))));
}

function disputed(view, t) {
  return el("ul", { class: "talk" }, view.disputed.map((one) => el("li", { class: "card" }, picture(one.sample, t),
    el("dl", {}, one.answers.map((answer) => el("div", {}, el("dt", { title: answer.who }, answer.who), el("dd", {}, answer.said)))))));
}
