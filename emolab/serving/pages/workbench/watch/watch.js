// The monitor: alarms in words, accuracy over the looks, what the model answers, what was tested, every look. A new look
// shows by itself.

import { plot, svg, ticks } from "../charts.js";
import { address } from "../data.js";
import { el, fill } from "../dom.js";
import { percent, picture } from "../wall.js";

const EVERY = 5000; // milliseconds between two questions whether there is a new look
const LEAST_P = 1e-6; // smaller ones are drawn there

export async function show(main, app) {
  const page = new Page(main, app);
  const follow = () => { if (location.hash.startsWith("#/monitor")) page.load().catch((error) => app.stop(error)); };
  addEventListener("hashchange", follow);
  await page.load();
  return () => { removeEventListener("hashchange", follow); page.end(); };
}

class Page {
  constructor(main, app) {
    Object.assign(this, { main, app, t: (name, values) => app.t(`monitor.${name}`, values), ended: false });
    this.said = el("p", { role: "status", class: "said" });
    this.head = el("div", { class: "head" });
    this.body = el("div");
  }

  end() { this.ended = true; clearTimeout(this.timer); }

  async load() {
    clearTimeout(this.timer);
    const model = new URLSearchParams(location.hash.split("?")[1] ?? "").get("model");
    const asked = new URLSearchParams(Object.entries({ model, stamp: model === this.model ? this.stamp : null }).filter(([, value]) => value));
    this.model = model;
    const view = await this.app.api("GET", `/app/api/monitor?${asked}`);
    if (this.ended) return;
    this.app.line("good");
    if (view.state) this.draw(view);
    this.timer = setTimeout(() => this.again(), EVERY);
  }

  async again() {
    try {
      await this.load();
    } catch (error) {
      if (this.ended) return;
      if ("kind" in error) { this.app.stop(error); return; }
      this.app.line("bad", this.t("offline"));
      this.timer = setTimeout(() => this.again(), EVERY);
    }
  }

  draw(view) {
    const fresh = this.stamp && view.looks.length && this.newest && view.looks.at(-1).window.name !== this.newest;
    this.stamp = view.stamp;
    this.newest = view.looks.at(-1)?.window.name ?? null;
    if (!this.main.contains(this.body)) fill(this.main, this.head, this.said, this.body);
    this.heading(view);
    fill(this.said, fresh ? this.t("new_look", { window: this.newest }) : "");
    fill(this.body, view.looks.length ? this.looks(view) : this.nothing(view));
  }

  heading(view) {
    const { t } = this;
    const call = (model) => [...model.aliases, model.id.slice(0, 8), model.serving && t("answers_now")].filter(Boolean).join(" · ");
    if (view.models.length < 2) { fill(this.head, el("h1", {}, t("title")), el("span", { class: "soft" }, call(view.model))); return; }
    const old = this.head.querySelector("select");
    const choose = el("select", { "aria-label": t("model"), onchange: () => { location.hash = `#/monitor?model=${choose.value}`; } },
      view.models.map((model) => el("option", { value: model.id, selected: model.id === view.model.id }, call(model))));
    const focused = old !== null && document.activeElement === old;
    fill(this.head, el("h1", {}, t("title")), choose);
    if (focused) choose.focus();
  }

  nothing(view) {
    const { t } = this;
    return el("section", { class: "card notice", data: { state: view.state } }, el("h2", {}, t(`${view.state}.title`)), el("p", {}, t(`${view.state}.text`)), el("pre", { tabindex: "0" }, view.next));
  }

  looks(view) {
    const { t } = this;
    const newest = view.looks.at(-1);
    return [
      this.alarms(view, newest),
      el("div", { class: "two even" },
        el("section", { class: "card pad" }, el("h2", {}, t("accuracy")), this.accuracy(view.looks)),
        el("section", { class: "card pad" }, el("h2", {}, t("mix")), this.mix(view.looks))),
      view.moved && this.moved(view),
      el("section", { class: "card pad" }, el("h2", {}, t("tested")), el("p", { class: "soft" }, t("tested_text")), this.tested(view.looks)),
      el("section", { class: "card pad" }, el("h2", {}, t("every_look")), this.table(view.looks)),
    ];
  }

  alarms(view, newest) {
    const { t, app } = this;
    const day = (moment) => new Date(moment).toLocaleDateString(app.language);
    const about = t("newest", { window: newest.window.name, n: newest.window.n.toLocaleString(app.language), time: new Date(newest.at).toLocaleString(app.language, { dateStyle: "medium", timeStyle: "short" }) });
    const notes = [...newest.notes, newest.power].filter(Boolean).map((note) => el("li", {}, note));
    if (!view.alarms.length) {
      return el("section", { class: "card pad alarm", data: { kind: "quiet" } }, el("h2", {}, t("quiet")), el("p", {}, about), notes.length > 0 && el("ul", { class: "notes soft" }, notes));
    }
    const told = (alarm) => [
      ...Object.entries(alarm.told).map(([channel, at]) => t("told", { channel, day: day(at) })),
      ...alarm.owed.map((channel) => t("owed", { channel })),
    ];
    return el("section", { class: "alarms", "aria-label": t("alarms", { n: view.alarms.length }) },
      view.alarms.map((alarm) => el("article", { class: "card pad alarm", data: { kind: "alarm" } }, el("h2", {}, alarm.title), el("p", { class: "words" }, alarm.words),
        el("p", { class: "soft" }, told(alarm).join(" · ") || t("nobody_told")))),
      el("p", { class: "soft" }, about), notes.length > 0 && el("ul", { class: "notes soft" }, notes));
  }

  accuracy(looks) {
    const { t, app } = this;
    const drawn = looks.map((look, place) => ({ look, place })).filter(({ look }) => look.estimate || look.audit);
    const last = looks.findLast((look) => look.estimate);
    const audited = looks.findLast((look) => look.audit);
    if (!drawn.length) return el("p", { class: "soft" }, t("no_estimate"));
    const ends = drawn.flatMap(({ look }) => [look.estimate, look.audit].filter(Boolean).flatMap((one) => [one.low, one.high]));
    const low = Math.max(0, Math.floor(10 * Math.min(...ends)) / 10), high = Math.min(1, Math.ceil(10 * Math.max(...ends)) / 10);
    const estimates = drawn.filter(({ look }) => look.estimate);
    return [
      last && el("p", { class: "big" }, el("b", {}, percent(last.estimate.accuracy)), " ", t("estimated", { low: percent(last.estimate.low), high: percent(last.estimate.high) })),
      audited && el("p", {}, t("audited", { share: percent(audited.audit.accuracy), low: percent(audited.audit.low), high: percent(audited.audit.high), n: audited.audit.n.toLocaleString(app.language), window: audited.window.name }), audited.audit.unlabelled > 0 && ` ${t("audited_rest", { n: audited.audit.unlabelled.toLocaleString(app.language) })}`),
      plot({
        label: t("accuracy_chart"),
        x: { low: -0.5, high: looks.length - 0.5, ticks: fewTicks(looks.length), label: t("window"), text: (place) => shortDay(looks[place].window.begin, app.language) },
        y: { low, high, ticks: ticks(low, high), text: percent },
        draw: (px, py) => [
          estimates.length > 1 && svg("polygon", { class: "band", points: [...estimates.map(({ look, place }) => `${px(place)},${py(look.estimate.high)}`), ...estimates.toReversed().map(({ look, place }) => `${px(place)},${py(look.estimate.low)}`)].join(" ") }),
          estimates.length > 1 && svg("polyline", { class: "line-of", points: estimates.map(({ look, place }) => `${px(place)},${py(look.estimate.accuracy)}`).join(" ") }),
          estimates.map(({ look, place }) => svg("g", { class: "point", "data-alarm": accuracyAlarm(look) },
            svg("title", {}, `${look.window.name}: ${percent(look.estimate.accuracy)} (${percent(look.estimate.low)}–${percent(look.estimate.high)})`),
            estimates.length < 2 && svg("line", { x1: px(place), x2: px(place), y1: py(look.estimate.low), y2: py(look.estimate.high) }),
            svg("circle", { cx: px(place), cy: py(look.estimate.accuracy), r: accuracyAlarm(look) ? 6 : 3.5 }))),
          drawn.filter(({ look }) => look.audit).map(({ look, place }) => svg("g", { class: "point audit", transform: look.estimate ? "translate(9 0)" : null },
            svg("title", {}, `${look.window.name}: ${percent(look.audit.accuracy)} (${percent(look.audit.low)}–${percent(look.audit.high)}), n = ${look.audit.n}`),
            svg("line", { x1: px(place), x2: px(place), y1: py(look.audit.low), y2: py(look.audit.high) }),
            svg("rect", { x: px(place) - 4.5, y: py(look.audit.accuracy) - 4.5, width: 9, height: 9 }))),
        ],
      }),
      el("p", { class: "soft legend" }, el("span", { class: "dot" }), t("legend_estimate"), audited && [" ", el("span", { class: "box-mark" }), t("legend_audit")]),
    ].flat();
  }

  mix(looks) {
    const { t } = this;
    const newest = looks.at(-1).seen.classes;
    if (!newest) return el("p", { class: "soft" }, t("no_answers"));
    const before = looks.slice(0, -1).filter((look) => look.seen.classes);
    const mean = (name) => before.reduce((sum, look) => sum + look.seen.classes[name], 0) / before.length;
    const most = Math.max(0.01, ...Object.values(newest));
    const names = Object.keys(newest).sort((a, b) => newest[b] - newest[a]);
    const heads = ["class", "now", ...(before.length ? ["before", "course"] : [])];
    return [el("p", { class: "soft" }, t("mix_text", { window: looks.at(-1).window.name })),
      el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures course" },
        el("thead", {}, el("tr", {}, heads.map((name, place) => el("th", { scope: "col", class: place === 1 || place === 2 ? "n" : null }, t(name))))),
        el("tbody", {}, names.map((name) => el("tr", {}, el("th", { scope: "row" }, name),
          el("td", { class: "n" }, el("span", { class: "bar", style: { "--share": (newest[name] / most).toFixed(3) } }, percent(newest[name]))),
          before.length > 0 && [el("td", { class: "n" }, percent(mean(name))), el("td", {}, course(looks.map((look) => look.seen.classes?.[name] ?? null), { low: 0 }))])))))];
  }

  moved({ moved, model }) {
    const { t } = this;
    const beyond = (away) => t("away", { sd: `${away >= 0 ? "+" : "−"}${Math.abs(away).toFixed(1)}` });
    return el("section", { class: "card pad" }, el("h2", {}, t("in_pictures")), el("p", { class: "soft" }, moved.words),
      moved.loudest.length > 0 && [
        el("ul", { class: "talk moved" }, moved.loudest.map((one) => el("li", { class: "card" }, picture(one.sample, t), el("p", {}, el("b", {}, one.said), " ", el("span", { class: "soft" }, beyond(one.away)))))),
        el("p", {}, el("a", { href: address({ of: `drifted:${model.id}` }) }, t("open_moved"))),
        moved.beside.length > 0 && el("details", {}, el("summary", {}, t("beside")), el("ul", { class: "talk moved" }, moved.beside.map((id) => el("li", { class: "card" }, picture(id, t))))),
      ]);
  }

  tested(looks) {
    const { t, app } = this;
    const newest = looks.at(-1);
    if (!newest.tests.length) return el("p", { class: "soft" }, t("too_few"));
    const of = (look, name) => look.tests.find((test) => test.detector === name);
    const called = (name) => (app.words.monitor.detectors[name] ? t(`detectors.${name}`) : name.replaceAll("_", " "));
    const rows = [...newest.tests].sort((a, b) => a.p - b.p);
    return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures course" },
      el("thead", {}, el("tr", {}, ["what", "p", "result", "unlikely", "moved"].map((name) => el("th", { scope: "col", class: name === "p" ? "n" : null }, t(name))))),
      el("tbody", {}, rows.map((test) => el("tr", {}, el("th", { scope: "row" }, called(test.detector)), el("td", { class: "n" }, small(test.p)),
        el("td", {}, test.alarm ? el("b", { class: "alarm-word" }, t("alarm")) : t("no_alarm")),
        el("td", {}, course(looks.map((look) => { const one = of(look, test.detector); return one ? -Math.log10(Math.max(one.p, LEAST_P)) : null; }), { low: 0, high: -Math.log10(LEAST_P), marks: looks.map((look) => of(look, test.detector)?.alarm) })),
        el("td", { class: "habit" }, test.moved.join("; ")))))));
  }

  table(looks) {
    const { t, app } = this;
    const interval = (one) => (one ? [percent(one.accuracy), el("span", { class: "soft" }, ` ${Math.round(100 * one.low)}–${Math.round(100 * one.high)}`)] : "–");
    return el("div", { class: "scroll tall", tabindex: "0" }, el("table", { class: "figures" },
      el("thead", {}, el("tr", {}, ["window", "answers", "alarms_head", "legend_estimate", "legend_audit"].map((name, place) => el("th", { scope: "col", class: place && place !== 2 ? "n" : null }, t(name))))),
      el("tbody", {}, looks.toReversed().map((look) => el("tr", {}, el("th", { scope: "row" }, look.window.name), el("td", { class: "n" }, look.window.n.toLocaleString(app.language)),
        el("td", { class: "habit" }, look.alarms.length ? el("span", { class: "alarm-word" }, look.alarms.map((alarm) => alarm.title).join("; ")) : t("no_alarm")),
        el("td", { class: "n" }, interval(look.estimate)), el("td", { class: "n" }, interval(look.audit)))))));
  }
}

const accuracyAlarm = (look) => look.alarms.some((alarm) => alarm.key.startsWith("accuracy:"));
const small = (p) => (p < 1e-9 ? "< 10⁻⁹" : p >= 0.001 ? p.toFixed(3) : p.toExponential(0).replace("e-", " · 10⁻").replace(/⁻(\d+)$/, (whole, digits) => `⁻${[...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`));
const shortDay = (moment, language) => new Date(moment).toLocaleDateString(language, { day: "numeric", month: "short", timeZone: "UTC" });

/** At most five places of `n`, the last one among them. */
function fewTicks(n) {
  const step = Math.max(1, Math.ceil(n / 4));
  return Array.from({ length: Math.ceil(n / step) }, (_, place) => n - 1 - place * step).reverse();
}

/** A small line of values over the looks; `null` leaves a gap, and `marks` are alarms. The table beside it has the figures. */
function course(values, { low, high, marks = [] }) {
  const [WIDTH, HEIGHT] = [120, 26];
  const known = values.filter((value) => value !== null);
  const top = high ?? Math.max(low + 1e-9, ...known);
  const x = (place) => 3 + (place / Math.max(1, values.length - 1)) * (WIDTH - 6);
  const y = (value) => HEIGHT - 3 - ((value - low) / (top - low)) * (HEIGHT - 6);
  const points = values.map((value, place) => (value === null ? null : `${x(place)},${y(value)}`)).filter(Boolean);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "spark", "aria-hidden": "true" },
    points.length > 1 && svg("polyline", { points: points.join(" ") }),
    values.map((value, place) => value !== null && (marks[place] || place === values.length - 1) && svg("circle", { cx: x(place), cy: y(value), r: 3, "data-alarm": Boolean(marks[place]) })));
}
