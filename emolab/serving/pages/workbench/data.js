// The wall of samples: filters in the address, pages as one scrolls, one sample in full, and what is done with many.

import { el, fill, sure } from "./dom.js";
import { grid } from "./wall.js";
import { sampleView } from "./sample.js";

const FILTERS = ["of", "class", "source", "split", "round", "unfit", "agreement", "answered", "duplicates", "order"];

/** What the address says after #/data?: only filters that this page knows. */
export function wantedOf(hash) {
  const given = new URLSearchParams(hash.split("?")[1] ?? "");
  return Object.fromEntries(FILTERS.filter((name) => given.get(name)).map((name) => [name, given.get(name)]));
}

/** The address of a wall with these filters. */
export function address(wanted) {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
  return query ? `#/data?${query}` : "#/data";
}

export async function show(main, app) {
  const t = (name, values) => app.t(`data.${name}`, values);
  const choices = await app.api("GET", "/app/api/data/choices");
  if (!choices.samples) {
    fill(main, el("section", { class: "card notice" }, el("h1", {}, t("empty")), el("p", {}, t("empty_text")),
      el("pre", {}, "emolab collect PATH\nemolab merge ferplus:FILE.zip")));
    return () => {};
  }
  const page = new Page(main, app, t, choices);
  const follow = () => { if (location.hash.startsWith("#/data") || location.hash === "") page.load(); };
  addEventListener("hashchange", follow);
  page.load();
  return () => { removeEventListener("hashchange", follow); page.end(); };
}

class Page {
  constructor(main, app, t, choices) {
    Object.assign(this, { app, t, choices, turn: new AbortController(), chosen: new Set() });
    this.counted = el("p", { class: "counted", role: "status" });
    const unshown = Object.values(choices.left_out).reduce((sum, count) => sum + count, 0);
    this.note = el("div", { class: "said", role: "status" });
    this.controls = el("div", { class: "filters" });
    this.side = el("aside", { class: "side card", hidden: true, "aria-label": t("side") });
    this.more = el("button", { type: "button", class: "plain more", hidden: true, onclick: () => this.further() }, t("more"));
    this.bar = el("div", { class: "chosen card", hidden: true, role: "region", "aria-label": t("selected", { n: "" }) });
    this.grid = grid({ t, chosen: this.chosen, mayChange: choices.may_change, open: (row) => this.open(row), changed: () => this.showChosen() });
    const narrow = matchMedia("(max-width: 640px)").matches;
    fill(main, el("div", { class: "head" }, el("h1", {}, t("title")), this.counted),
      unshown > 0 && el("p", { class: "soft unshown" }, t("unshown", { n: this.n(unshown) })),
      el("details", { class: "choosing card", open: !narrow }, el("summary", {}, t("filters")), this.controls),
      this.note, el("div", { class: "wall-and-side" }, el("div", { class: "wall" }, el("p", { class: "soft keys" }, t("keys")), this.grid.element, this.more), this.side), this.bar);
    this.watch = new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting)) this.further(); }, { rootMargin: "600px" });
    this.watch.observe(this.more);
  }

  end() { this.turn.abort(); this.watch.disconnect(); this.ended = true; }

  /** Show the first page of what the address asks for. */
  async load() {
    this.turn.abort();
    this.turn = new AbortController();
    this.wanted = wantedOf(location.hash);
    this.showFilters();
    this.closeSide();
    fill(this.note, this.wanted.of?.includes(":") && el("p", { class: "list-name" }, this.listName(this.wanted.of), " ",
      !this.wanted.of.startsWith("pair:") && el("span", { class: "soft" }, this.t("arrow"))));
    this.grid.clear();
    [this.next, this.loading, this.counted.textContent] = [null, false, ""];
    const turn = this.turn;
    this.looked = 0;
    const first = await this.page(turn);
    if (first && this.next) this.count(turn);
    else if (first) this.counted.textContent = this.t("count", { n: this.n(this.grid.size()) });
  }

  /** The next page goes on the wall; an empty one that leads on is followed at once. */
  async page(turn) {
    this.loading = true;
    this.more.hidden = true;
    try {
      let found;
      do {
        found = await this.ask("wall", this.next, turn);
        if (turn.signal.aborted) return false;
        this.next = found.next;
        this.grid.add(found.samples, found.notes, found.said);
        this.looked += found.looked;
        if (!found.samples.length && found.next) this.counted.textContent = this.progress("searched", this.looked) ?? this.t("searching");
      } while (!found.samples.length && found.next);
      if (found.lacking) this.say(found.lacking, found.hint);
      else if (!this.grid.size()) this.say(this.t("nothing"));
    } catch (error) {
      if (error.name === "AbortError" || turn.signal.aborted) return false;
      if (!("kind" in error)) { this.app.stop(error); return false; }
      this.counted.textContent = "";
      this.say(error.message, error.hint, "alert");
      return false;
    } finally {
      if (!turn.signal.aborted) [this.loading, this.more.hidden] = [false, !this.next];
    }
    return true;
  }

  further() { if (this.next && !this.loading && !this.ended) this.page(this.turn); }

  async count(turn) {
    let [n, after, looked] = [0, null, 0];
    try {
      do {
        const found = await this.ask("count", after, turn);
        if (turn.signal.aborted) return;
        n += found.n;
        looked += found.looked;
        after = found.next;
        const so_far = after && this.progress("counted_in", looked, { n: this.n(n) });
        this.counted.textContent = so_far || this.t(after ? "counting" : "count", { n: this.n(n) });
      } while (after);
    } catch (error) {
      if (error.name !== "AbortError") this.counted.textContent = "";
    }
  }

  n(count) { return count.toLocaleString(this.app.language); }

  /** How far a search has come; null where it is not known how many samples it has to look through. */
  progress(name, looked, more = {}) {
    const { samples, unlabelled, lists } = this.choices;
    const all = this.wanted.of ? lists[this.wanted.of] : this.wanted.order === "disagreement" ? samples - unlabelled : samples;
    return all ? this.t(name, { looked: this.n(Math.min(looked, all)), all: this.n(all), ...more }) : null;
  }

  ask(what, after, turn) {
    const query = new URLSearchParams({ ...this.wanted, ...(after ? { after } : {}) });
    return this.app.api("GET", `/app/api/data/${what}?${query}`, undefined, { signal: turn.signal });
  }

  say(text, hint = null, role = "status", link = null) {
    fill(this.note, el("p", { class: "card said-text", role }, text, link && [" ", link], hint && el("span", { class: "soft hint" }, hint)));
  }

  // filters

  showFilters() {
    const { choices, t, wanted } = this;
    const n = (count) => this.n(count);
    const counted = (map, call = (name) => name) => Object.entries(map).map(([name, count]) => [name, `${call(name)} (${n(count)})`]);
    const lists = [["", t("every_sample")], ...Object.entries(choices.lists).map(([name, count]) => [name, count === null ? t(name) : `${t(name)} (${n(count)})`])];
    if (wanted.of && !lists.some(([value]) => value === wanted.of)) lists.push([wanted.of, this.listName(wanted.of)]);
    const all = ["", t("all")];
    const split = (name) => (name === "none" ? t("no_split") : name);
    const orders = [["", t("newest")], ["disagreement", t("disagreement")], ...(wanted.round ? [["rank", t("rank")]] : [])];
    fill(this.controls,
      this.select("of", t("show"), lists),
      this.select("class", t("class"), [all, ...counted(choices.classes), ["none", `${t("unlabelled")} (${n(choices.unlabelled)})`]]),
      this.select("source", t("source"), [all, ...counted(choices.sources)]),
      this.select("split", t("split"), [all, ...counted(choices.splits, split)]),
      this.select("round", t("round"), [all, ...counted(choices.rounds)]),
      this.select("agreement", t("agreement"), [all, ["0.999", t("not_all")], ["0.5", t("half")]]),
      this.select("unfit", t("quality"), [all, ["any", t("any_fault")], ...choices.unfit.map((name) => [name, name])]),
      this.select("answered", t("answered"), [all, ["1", t("with_votes")], ["0", t("without_votes")]]),
      !wanted.of && this.select("order", t("order"), orders),
      el("label", { class: "tick" }, el("input", { type: "checkbox", checked: Boolean(wanted.duplicates),
        onchange: (event) => this.choose("duplicates", event.target.checked ? "1" : "") }), t("duplicates")),
      Object.keys(wanted).length > 0 && el("button", { type: "button", class: "plain", onclick: () => { location.hash = "#/data"; } }, t("clear")));
  }

  listName(of) {
    const [kind, ...parts] = of.split(":");
    const name = this.t(kind);
    if (kind === "pair") return name;
    if (kind === "of") return `${name}: ${parts[1]}`;
    return parts.length ? `${name}: ${parts.map((part) => (/^[0-9a-f]{64}$/.test(part) ? part.slice(0, 8) : part)).join(" → ")}` : name;
  }

  select(name, label, options) {
    const now = this.wanted[name] ?? "";
    const known = options.some(([value]) => value === now) ? options : [...options, [now, now]];
    return el("label", {}, el("span", {}, label), el("select", { name, onchange: (event) => this.choose(name, event.target.value) },
      known.map(([value, text]) => el("option", { value, selected: value === now }, text))));
  }

  choose(name, value) {
    const wanted = { ...this.wanted, [name]: value };
    if (name === "round" && !value && wanted.order === "rank") delete wanted.order;
    const kept = document.activeElement?.name;
    location.hash = address(wanted);
    if (kept) queueMicrotask(() => this.controls.querySelector(`[name="${CSS.escape(kept)}"]`)?.focus());
  }

  // one sample

  async open(row) {
    this.opened = row.id;
    this.side.hidden = false;
    document.body.classList.add("with-side");
    try {
      const view = await this.app.api("GET", `/app/api/data/samples/${row.id}`);
      if (this.opened !== row.id) return;
      sampleView(this.side, view, this.t, {
        close: () => this.closeSide(true), step: (by) => this.grid.step(row.id, by),
        note: this.grid.noteOf(row.id), language: this.app.language,
      });
    } catch (error) {
      if (!("kind" in error)) { this.app.stop(error); return; }
      fill(this.side, el("p", { role: "alert" }, error.message));
    }
  }

  closeSide(focus = false) {
    if (focus && this.opened) this.grid.focus(this.opened);
    this.opened = null;
    this.side.hidden = true;
    document.body.classList.remove("with-side");
  }

  // many samples

  showChosen() {
    const { t, chosen } = this;
    this.bar.hidden = !chosen.size;
    if (!chosen.size) return;
    const button = (label, act, kind = "plain") => el("button", { type: "button", class: kind, onclick: act }, label);
    fill(this.bar, el("b", { role: "status" }, t("selected", { n: chosen.size })),
      button(t("ask"), () => this.act("ask"), ""),
      el("label", {}, el("span", { class: "hidden-text" }, t("put")), el("select", { onchange: (event) => this.act("split", { split: event.target.value }) },
        el("option", { value: "" }, `${t("put")} …`), ["train", "valid", "test", "none"].map((name) => el("option", { value: name }, name === "none" ? t("no_split") : name)))),
      button(t("exclude"), () => this.act("exclude")),
      button(t("select_shown"), () => this.grid.chooseAll(this.choices.most_chosen)),
      button(t("unselect"), () => this.grid.unchoose()));
  }

  async act(what, more = {}) {
    const { t, chosen } = this;
    const ids = [...chosen], body = { ids, ...more };
    const post = (extra) => {
      fill(this.bar, el("b", { role: "status" }, t("working")));
      return this.app.api("POST", `/app/api/data/${what}`, { ...body, ...extra });
    };
    try {
      if (what === "ask") {
        const made = await post({});
        await this.done(made.round === null ? t("asked_none") : t("asked", made), el("a", { href: "#/suggest" }, t("send")));
        return;
      }
      const plan = await post({ dry_run: true });
      const named = more.split === "none" ? t("no_split") : more.split;
      const question = what === "split" ? t("sure_split", { n: plan.moved, split: named, across: plan.left_across })
        : t("sure_exclude", { n: plan.removed, votes: plan.votes_withdrawn, sent: plan.kept_sent });
      if (!(await sure(question, t("yes"), t("no")))) { this.showChosen(); return; }
      const made = await post({ dry_run: false });
      this.done(what === "split" ? t("moved", { n: made.moved, split: named }) : t("excluded", { n: made.removed, votes: made.votes_withdrawn }));
    } catch (error) {
      if (!("kind" in error)) { this.app.stop(error); return; }
      this.showChosen();
      this.say(error.message, error.hint, "alert");
    }
  }

  async done(text, link = null) {
    this.grid.unchoose();
    this.choices = await this.app.api("GET", "/app/api/data/choices");
    await this.load();
    this.say(text, null, "status", link);
  }
}
