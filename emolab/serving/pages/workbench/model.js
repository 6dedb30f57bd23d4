// The models: accuracy over votes, where one of them fails, two side by side, and the card.

import { plot, svg, ticks } from "./charts.js";
import { address } from "./data.js";
import { el, fill } from "./dom.js";
import { percent } from "./wall.js";

export async function show(main, app) {
  const t = (name, values) => app.t(`model.${name}`, values);
  const { models, next } = await app.api("GET", "/app/api/models");
  if (!models.length) {
    fill(main, el("section", { class: "card notice" }, el("h1", {}, t("empty")), el("p", {}, t("empty_text")), el("pre", {}, next)));
    return () => {};
  }
  const page = new Page(main, app, t, models);
  const follow = () => { if (location.hash.startsWith("#/model")) page.load(); };
  addEventListener("hashchange", follow);
  await page.load();
  return () => removeEventListener("hashchange", follow);
}

const call = (model, t) => [model.aliases.includes("champion") && t("champion"), model.id.slice(0, 8)].filter(Boolean).join(" ");
const share = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);
const figure = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

class Page {
  constructor(main, app, t, models) {
    Object.assign(this, { app, t, models });
    this.short = el("section", { class: "card pad" });
    this.one = el("section", {});
    this.two = el("section", { class: "card pad" });
    fill(main, el("div", { class: "head" }, el("h1", {}, t("title"))), this.short,
      el("section", { class: "card pad" }, el("h2", {}, t("over_votes")), overVotes(models, t, app.language), el("p", { class: "soft" }, t("over_votes_text")), this.table()),
      this.one, this.two);
  }

  async load() {
    const asked = new URLSearchParams(location.hash.split("?")[1] ?? "");
    const best = this.models.find((model) => model.aliases.includes("champion")) ?? this.models.at(-1);
    const id = this.models.some((model) => model.id === asked.get("show")) ? asked.get("show") : best.id;
    const other = this.models.some((model) => model.id === asked.get("beside")) && asked.get("beside") !== id ? asked.get("beside") : null;
    for (const row of this.rows) row.element.setAttribute("aria-current", row.id === id);
    if (this.shown !== id) { this.shown = id; await this.into(this.one, `/app/api/models/${id}`, (view) => this.model(view)); }
    await this.beside(id, other);
  }

  async into(place, path, draw) {
    try {
      const found = await this.app.api("GET", path);
      fill(place, draw(found));
    } catch (error) {
      if (!("kind" in error)) { this.app.stop(error); return; }
      fill(place, el("p", { class: "card said-text", role: "alert" }, error.message, error.hint && el("span", { class: "soft hint" }, error.hint)));
    }
  }

  table() {
    const { t } = this;
    const when = (moment) => new Date(moment).toLocaleDateString(this.app.language);
    this.rows = [...this.models].reverse().map((model) => ({ id: model.id, element: el("tr", {},
      el("th", { scope: "row" }, el("a", { href: `#/model?show=${model.id}` }, call(model, t))),
      el("td", {}, when(model.created_at)), el("td", {}, model.backbone),
      el("td", { class: "n" }, model.votes === null ? "–" : model.votes.toLocaleString(this.app.language)),
      el("td", { class: "n" }, model.n_train.toLocaleString(this.app.language)),
      el("td", { class: "n" }, share(model.accuracy), model.low !== null && el("span", { class: "soft" }, ` ${Math.round(100 * model.low)}–${Math.round(100 * model.high)}`)),
      el("td", { class: "n" }, figure(model.macro_f1)), el("td", { class: "n" }, figure(model.ece))) }));
    const heads = ["model", "made", "backbone", "votes", "learned_from", "accuracy", "macro_f1", "ece"];
    return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures" }, el("thead", {}, el("tr", {}, heads.map((name) => el("th", { scope: "col" }, t(name))))),
      el("tbody", {}, this.rows.map((row) => row.element))));
  }

  model(view) {
    const { t } = this;
    const { valid, classes, model } = view;
    if (!valid.n) {
      fill(this.short, el("h2", {}, call(model, t)), el("p", {}, t("nothing_held_out")));
      return this.card(model.id);
    }
    const judged = valid.per_class.filter((row) => row.support > 0);
    const worst = judged.reduce((low, row) => ((row.f1 ?? 0) < (low.f1 ?? 0) ? row : low), judged[0]);
    const often = mistakes(valid.confusion, classes);
    const place = classes.indexOf(worst.class);
    const itsFaces = view.opens ? { of: `of:${model.id}:${worst.class}` } : { class: worst.class, split: "valid" };
    fill(this.short, el("h2", {}, call(model, t)),
      el("p", { class: "big" }, el("b", {}, share(valid.accuracy)), " ", t("right_of", { n: valid.n.toLocaleString(this.app.language) })),
      el("p", {}, t("weakest", { name: worst.class, right: valid.confusion[place][place], n: worst.support, f1: figure(worst.f1) }), " ",
        el("a", { href: address(itsFaces), class: "worst" }, t(view.opens ? "wrong_first" : "its_faces"))),
      often.length > 0 && el("p", {}, t("most_mistaken", { n: often[0].n, true: often[0].true, said: often[0].said }), " ",
        view.opens && el("a", { href: address({ of: `cell:${model.id}:${often[0].true}:${often[0].said}` }) }, t("these_faces"))),
      view.lacking && el("p", { class: "note-text" }, view.lacking, el("span", { class: "soft hint" }, ` ${view.hint}`)));
    return [
      el("div", { class: "two" },
        el("section", { class: "card pad" }, el("h2", {}, t("confusion")), el("p", { class: "soft" }, t(view.opens ? "confusion_text" : "confusion_shut")), this.matrix(view)),
        el("section", { class: "card pad" }, el("h2", {}, t("calibration")), el("p", { class: "soft" }, t("calibration_text", { ece: figure(valid.ece) })), reliability(valid.reliability, t),
          el("h2", { class: "next" }, t("by_class")), byClass(judged, t))),
      this.card(model.id),
    ];
  }

  matrix(view) {
    const { valid, classes, model } = view;
    const { t } = this;
    const cell = (n, row, column) => {
      const total = valid.confusion[row].reduce((sum, each) => sum + each, 0) || 1;
      const told = t("cell", { true: classes[row], said: classes[column], n });
      const body = n && view.opens ? el("a", { href: address({ of: `cell:${model.id}:${classes[row]}:${classes[column]}` }), "aria-label": told, title: told }, String(n)) : n ? el("span", { title: told }, String(n)) : "";
      return el("td", { data: { right: row === column }, style: { "--share": (n / total).toFixed(3) } }, body);
    };
    return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "matrix" },
      el("thead", {}, el("tr", {}, el("td", { class: "soft" }, `${t("true")} ↓ ${t("said")} →`), classes.map((name) => el("th", { scope: "col" }, el("span", {}, name))))),
      el("tbody", {}, valid.confusion.map((row, place) => el("tr", {}, el("th", { scope: "row" }, classes[place]), row.map((n, column) => cell(n, place, column)))))));
  }

  card(id) {
    const text = el("pre", { class: "card-text" });
    const box = el("details", { class: "card pad" }, el("summary", {}, this.t("card")), text);
    box.addEventListener("toggle", async () => {
      if (!box.open || text.textContent) return;
      text.textContent = this.t("working");
      try {
        text.textContent = (await this.app.api("GET", `/app/api/models/${id}/card`)).card;
      } catch (error) {
        text.textContent = [error.message, error.hint].filter(Boolean).join(" ");
      }
    });
    return box;
  }

  async beside(id, other) {
    const { t, models } = this;
    const choose = el("select", { "aria-label": t("beside"), onchange: () => { location.hash = `#/model?show=${id}${choose.value ? `&beside=${choose.value}` : ""}`; } },
      el("option", { value: "" }, t("choose")), models.filter((model) => model.id !== id).map((model) => el("option", { value: model.id, selected: model.id === other }, call(model, t))));
    const place = el("div", {});
    fill(this.two, el("h2", {}, t("two")), models.length < 2 ? el("p", { class: "soft" }, t("only_one")) : el("p", {}, t("two_text"), " ", choose), place);
    if (!other) return;
    await this.into(place, `/app/api/models/${other}/beside/${id}`, (found) => {
      if (found.lacking) return el("p", { class: "note-text" }, found.lacking, " ", el("span", { class: "soft" }, found.hint));
      const [first, second] = found.figures;
      const link = (kind) => el("a", { href: address({ of: `${kind}:${other}:${id}` }), class: "count" }, el("b", {}, String(found[kind])), " ", t(kind));
      const rows = [["accuracy", share], ["macro_f1", figure], ["nll", figure], ["ece", figure]];
      return [
        el("p", {}, t("same_faces", { n: found.n.toLocaleString(this.app.language) })),
        el("p", { class: "counts" }, link("fixed"), link("broken"), link("changed")),
        el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures" },
          el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "hidden-text" }, t("model"))), found.models.map((model) => el("th", { scope: "col", class: "n" }, call(model, t))))),
          el("tbody", {}, rows.map(([name, text]) => el("tr", {}, el("th", { scope: "row" }, t(name)), el("td", { class: "n" }, text(first[name])), el("td", { class: "n" }, text(second[name])))),
            first.per_class.map((row, place) => row.support > 0 && el("tr", {}, el("th", { scope: "row" }, `F1 ${row.class}`), el("td", { class: "n" }, figure(row.f1)), el("td", { class: "n" }, figure(second.per_class[place].f1))))))),
      ];
    });
  }
}

/** The cells beside the diagonal, the fullest first. */
function mistakes(confusion, classes) {
  return confusion.flatMap((row, a) => row.map((n, b) => ({ n, true: classes[a], said: classes[b], same: a === b })))
    .filter((cell) => !cell.same && cell.n).sort((a, b) => b.n - a.n);
}

function overVotes(models, t, language) {
  const drawn = models.filter((model) => model.votes !== null && model.accuracy !== null);
  if (!drawn.length) return el("p", { class: "soft" }, t("no_votes_on_record"));
  const most = Math.max(...drawn.map((model) => model.votes));
  const low = Math.max(0, Math.floor(10 * Math.min(...drawn.map((model) => model.low))) / 10);
  const high = Math.min(1, Math.ceil(10 * Math.max(...drawn.map((model) => model.high))) / 10);
  return plot({
    label: t("over_votes"),
    x: { low: 0, high: most * 1.04, ticks: ticks(0, most), label: t("votes"), text: (n) => n.toLocaleString(language) },
    y: { low, high, ticks: ticks(low, high), text: percent },
    draw: (px, py) => [
      svg("polyline", { class: "line-of", points: [...drawn].sort((a, b) => a.votes - b.votes).map((model) => `${px(model.votes)},${py(model.accuracy)}`).join(" ") }),
      drawn.map((model) => svg("g", { class: model.aliases.includes("champion") ? "point champion" : "point" },
        svg("title", {}, `${call(model, t)}: ${share(model.accuracy)}, ${model.votes.toLocaleString(language)} ${t("votes")}`),
        svg("line", { x1: px(model.votes), x2: px(model.votes), y1: py(model.low), y2: py(model.high) }),
        svg("circle", { cx: px(model.votes), cy: py(model.accuracy), r: model.aliases.includes("champion") ? 6 : 4 }))),
    ],
  });
}

function reliability(bins, t) {
  const shares = ticks(0, 1);
  const most = Math.max(...bins.map((bin) => bin.count));
  return plot({
    label: t("calibration"),
    x: { low: 0, high: 1, ticks: shares, label: t("confidence"), text: percent },
    y: { low: 0, high: 1, ticks: shares, text: percent },
    draw: (px, py) => [
      svg("line", { class: "ideal", x1: px(0), y1: py(0), x2: px(1), y2: py(1) }),
      bins.map((bin) => svg("g", { class: "point" }, svg("title", {}, t("bin", { confidence: percent(bin.confidence), accuracy: percent(bin.accuracy), n: bin.count })),
        svg("circle", { cx: px(bin.confidence), cy: py(bin.accuracy), r: 3 + 7 * Math.sqrt(bin.count / most) }))),
    ],
  });
}

function byClass(rows, t) {
  return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures" },
    el("thead", {}, el("tr", {}, ["class", "precision", "recall", "f1", "faces"].map((name, place) => el("th", { scope: "col", class: place ? "n" : null }, t(name))))),
    el("tbody", {}, [...rows].sort((a, b) => (a.f1 ?? 0) - (b.f1 ?? 0)).map((row) => el("tr", {}, el("th", { scope: "row" }, el("a", { href: address({ class: row.class, split: "valid" }) }, row.class)),
      ["precision", "recall", "f1"].map((name) => el("td", { class: "n" }, row[name] === null ? "–" : row[name].toFixed(2))), el("td", { class: "n" }, String(row.support)))))));
}
