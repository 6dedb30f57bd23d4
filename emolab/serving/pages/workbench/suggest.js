// What would be asked next: how the next faces are chosen, why each was, what they cost the team, and one click to send.

import { el, fill, sure } from "./dom.js";
import { knowReasons, reasonIn } from "./reasons.js";
import { percent, picture } from "./wall.js";

const [BUSY, IDLE] = [700, 5000]; // milliseconds between two questions whether anything has changed
const BY_HAND = "by hand";

export async function show(main, app) {
  const page = new Page(main, app);
  if (app.language !== "en") await knowReasons();
  await page.load();
  return () => page.end();
}

const wish = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

class Page {
  constructor(main, app) {
    Object.assign(this, { main, app, t: (name, values) => app.t(`suggest.${name}`, values), wishes: {}, ended: false, wanted: { by: "n" } });
    this.job = el("div", { class: "job" });
    this.said = el("div", { class: "said", role: "status" });
    this.waits = el("div");
    this.form = el("div");
    this.train = el("div");
    this.faces = el("ul", { class: "proposed" });
    this.more = el("button", { type: "button", class: "plain more", hidden: true, onclick: () => this.further() }, this.t("more"));
  }

  end() { this.ended = true; clearTimeout(this.timer); }

  n(value) { return value.toLocaleString(this.app.language); }

  /** A span of time in words: seconds, minutes or hours. */
  lasting(seconds) {
    const [value, unit, digits] = seconds < 90 ? [seconds, "second", 0] : seconds < 5400 ? [seconds / 60, "minute", 0] : [seconds / 3600, "hour", 1];
    return new Intl.NumberFormat(this.app.language, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: digits }).format(value);
  }

  async load() {
    const view = await this.app.api("GET", "/app/api/suggest");
    if (this.ended) return;
    const first = !this.view;
    this.view = view;
    if (!view.samples) {
      this.notice("empty", "empty_text", view.next);
    } else {
      if (first || !this.main.contains(this.job)) {
        fill(this.main, el("div", { class: "head" }, el("h1", {}, this.t("title")), el("p", { class: "counted" })),
          this.said, this.job, this.waits, this.form, this.train, this.faces, this.more);
      }
      fill(this.main.querySelector(".counted"), this.t("unasked", { n: this.n(view.unasked) }), view.studio.url && [" · ", this.toStudio(view.studio.url, "studio")]);
      this.showWaiting();
      this.showForm();
      this.showTrain();
      if (this.facesOf !== view.stamp) await this.showFaces();
    }
    this.showJob(view.job);
    this.watch();
  }

  notice(title, text, next) {
    fill(this.main, el("section", { class: "card notice" }, el("h1", {}, this.t(title)), el("p", {}, this.t(text)), next && el("pre", {}, next)));
  }

  say(text, hint = null, role = "status") {
    fill(this.said, text && el("p", { class: "card said-text", role }, text, hint && el("span", { class: "soft hint" }, hint)));
  }

  // what waits, and its price

  showWaiting() {
    const { view, t } = this;
    const all = view.waiting + view.left_over;
    if (!all) {
      fill(this.waits);
      return;
    }
    const push = view.may_change && el("button", { type: "button", name: "push", disabled: this.running(), onclick: () => this.act("push") }, t("push", { n: this.n(all) }));
    fill(this.waits, el("section", { class: "card pad", "aria-labelledby": "waits" },
      el("h2", { id: "waits" }, t("waits")),
      view.waiting > 0 && el("p", { class: "price" }, this.priced(this.n(view.waiting), t("faces")), this.priced(this.n(view.votes), t("votes")),
        view.seconds === null ? el("span", {}, t("time_unknown")) : this.priced(this.lasting(view.seconds), t("of_the_team"))),
      el("ul", { class: "plain-list waits" }, view.rounds.map((round) => this.round(round))),
      view.left_over > 0 && el("p", { class: "note-text" }, t("left_over", { n: this.n(view.left_over) })),
      view.studio.lacking && el("p", { class: "note-text" }, view.studio.lacking, " ", view.studio.hint),
      push && el("p", { class: "answers" }, push)));
  }

  priced(figure, what) { return el("span", {}, el("b", {}, figure), " ", what); }

  round(round) {
    const { t } = this;
    const how = round.strategy === BY_HAND ? t("by_hand", { name: round.by ?? "?" }) : `${round.strategy}${round.model ? ` · ${t("by_model", { model: round.model.slice(0, 8) })}` : ""}`;
    const what = [round.new && t("new", { n: this.n(round.new) }), round.again && t("again", { n: this.n(round.again) }), round.seconds !== null && this.lasting(round.seconds)].filter(Boolean).join(", ");
    return el("li", {},
      el("div", {}, el("b", {}, t("round", { n: round.round })), el("span", {}, what), el("span", { class: "soft" }, how), round.note && el("span", { class: "soft", lang: "en" }, round.note)),
      this.view.may_change && el("button", { type: "button", class: "plain small", name: "drop", disabled: this.running(), "aria-label": `${t("drop")}: ${t("round", { n: round.round })}`, onclick: () => this.drop(round) }, t("drop")));
  }

  async drop(round) {
    const say = (name) => this.app.t(`data.${name}`);
    if (!(await sure(this.t("sure_drop", { round: round.round, n: this.n(round.new + round.again) }), say("yes"), say("no")))) return;
    let failed = null;
    try {
      await this.app.api("POST", "/app/api/suggest/drop", { round: round.round });
    } catch (error) {
      if (!("kind" in error)) { this.app.line("bad", this.t("offline")); return; }
      failed = error;
    }
    await this.load();
    if (failed) this.say(failed.message, failed.hint, "alert");
    else this.say(this.t("dropped", { n: round.round }));
  }

  toStudio(url, words) { return el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, this.t(words)); }

  // the next round

  showForm() {
    const { view, t, wanted } = this;
    if (!view.may_change || !view.unasked) {
      fill(this.form, el("p", { class: "soft" }, view.may_change ? t("nothing") : t("only_owner")), view.next && el("pre", {}, view.next));
      return;
    }
    const kept = document.activeElement?.name;
    const many = el("input", { type: "number", name: "many", min: "1", max: "100000", inputmode: "numeric", value: wanted.many ?? Math.min(view.settings.n, view.unasked), "aria-label": t("how_many"), oninput: () => { wanted.many = many.value; cost(); }, onkeydown: (event) => { if (event.key === "Enter") button.click(); } });
    const unit = el("select", { name: "by", "aria-label": t("unit"), onchange: () => { wanted.by = unit.value; cost(); } },
      [["n", t("faces")], ["minutes", t("minutes_team")]].map(([value, text]) => el("option", { value, selected: wanted.by === value, disabled: value === "minutes" && view.seconds_each === null }, text)));
    const strategy = el("select", { name: "strategy", onchange: () => { wanted.strategy = strategy.value; explain(); } },
      ["", ...view.strategies].map((name) => el("option", { value: name, selected: name === (wanted.strategy ?? "") }, name || t("as_set", { name: view.settings.strategy }))));
    const why = el("p", { class: "soft why" });
    const price = el("p", { class: "soft", role: "status" });
    const button = el("button", { type: "button", name: "propose", class: view.waiting + view.left_over ? "plain" : null, disabled: this.running(), onclick: () => this.act("propose") }, t("propose"));
    const explain = () => { const name = strategy.value || view.settings.strategy; why.textContent = this.app.words.suggest.strategies[name] ?? ""; };
    const cost = () => {
      const given = Math.floor(Number(many.value));
      button.disabled = this.running() || !(given >= 1);
      price.textContent = !(given >= 1) || wanted.by === "minutes" ? "" : view.seconds_each === null ? t("cost_votes", { votes: this.n(given * view.each) })
        : t("cost", { votes: this.n(given * view.each), time: this.lasting(given * view.seconds_each) });
    };
    fill(this.form, el("section", { class: "card pad next-round", "aria-labelledby": "next-round" },
      el("h2", { id: "next-round" }, t(view.waiting + view.left_over ? "another" : "next_round")),
      !view.model && el("p", { class: "note-text" }, t("no_model")),
      el("p", { class: "choose" }, many, unit, button),
      price,
      el("details", { open: Boolean(wanted.open), ontoggle: (event) => { wanted.open = event.target.open; } }, el("summary", {}, t("advanced")), el("label", { class: "pick" }, el("span", {}, t("strategy")), strategy), why)));
    explain();
    cost();
    if (kept) this.form.querySelector(`[name="${CSS.escape(kept)}"]`)?.focus();
  }

  /** The model that chooses, and a button for the next one. */
  showTrain() {
    const { view, t } = this;
    fill(this.train, view.may_change && el("section", { class: "card pad", "aria-labelledby": "train" },
      el("h2", { id: "train" }, t("the_model")),
      el("p", { class: "soft" }, view.model ? t("model_is", { model: view.model.slice(0, 8) }) : t("model_none")),
      el("p", { class: "answers" }, el("button", { type: "button", class: "plain", name: "train", disabled: this.running(), onclick: () => this.act("train") }, t("train")))));
  }

  // the faces

  async showFaces() {
    fill(this.faces);
    this.facesOf = this.view.stamp;
    this.next = null;
    this.more.hidden = true;
    if (this.view.waiting) await this.further();
  }

  async further() {
    const query = this.next ? `?after=${encodeURIComponent(this.next)}` : "";
    const stamp = this.view.stamp;
    const found = await this.app.api("GET", `/app/api/suggest/faces${query}`);
    if (this.ended || stamp !== this.view.stamp) return;
    this.faces.append(...found.faces.map((face) => this.face(face)));
    this.next = found.next;
    this.more.hidden = !found.next;
  }

  face(face) {
    const { t } = this;
    const reason = reasonIn(this.app, face.reason);
    return el("li", { class: "card" }, picture(face.sample, (name) => this.app.t(`data.${name}`)),
      el("div", {},
        face.kind === "revote" && el("span", { class: "tag" }, t("once_more")),
        face.guess && el("span", { class: "bar", style: { "--share": face.share.toFixed(3) } }, `${face.guess} ${percent(face.share)}`),
        el("p", { lang: reason.lang }, reason.text),
        el("p", { class: "soft" }, `${t("round", { n: face.round })} · ${face.strategy === BY_HAND ? t("hand") : face.strategy}`)));
  }

  // jobs

  running() { const job = this.view?.job; return Boolean(job && job.ended_at === null) || Boolean(this.posting); }

  /** Start a job, once: an answer that is lost is asked for again under the same name. */
  async act(what) {
    if (this.posting) return;
    this.posting = true;
    this.say("");
    const body = { id: (this.wishes[what] ??= wish()), stamp: this.view.stamp };
    if (what === "propose") {
      body[this.wanted.by] = Math.floor(Number(this.form.querySelector("[name=many]").value));
      if (this.wanted.strategy) body.strategy = this.wanted.strategy;
    }
    for (const button of this.main.querySelectorAll("[name=propose], [name=push], [name=drop], [name=train]")) button.disabled = true;
    let failed = null;
    try {
      const { job } = await this.app.api("POST", `/app/api/suggest/${what}`, body);
      delete this.wishes[what];
      this.view.job = job;
    } catch (error) {
      failed = error;
    }
    this.posting = false;
    if (failed) await this.refused(failed, what);
    else {
      this.showJob(this.view.job);
      this.job.firstElementChild.focus();
      this.watch();
    }
  }

  async refused(error, what) {
    if (!("kind" in error)) { this.app.line("bad", this.t("offline")); this.showWaiting(); this.showForm(); this.showTrain(); return; }
    delete this.wishes[what];
    if (!["busy", "changed"].includes(error.kind)) { this.app.stop(error); return; }
    await this.load();
    this.say(this.t(error.kind), null, "alert");
  }

  watch() {
    clearTimeout(this.timer);
    if (!this.ended) this.timer = setTimeout(() => this.look(), this.running() ? BUSY : IDLE);
  }

  /** Whether the job, or what waits, is another than what is shown; then show that. */
  async look() {
    try {
      if (document.hidden && !this.running()) return;
      const now = await this.app.api("GET", "/app/api/suggest/now");
      if (this.ended || this.posting) return;
      this.app.line("good");
      const ran = this.running();
      this.view.job = now.job;
      this.showJob(now.job);
      const other = now.stamp !== this.view.stamp || now.samples !== this.view.samples;
      if (!this.running() && (ran || other)) await this.load();
      else if (ran !== this.running()) { this.showWaiting(); this.showForm(); this.showTrain(); }
    } catch (error) {
      if ("kind" in error) { this.app.stop(error); this.end(); return; }
      this.app.line("bad", this.t("offline"));
    } finally {
      this.watch();
    }
  }

  showJob(job) {
    const { t } = this;
    if (!job) { fill(this.job); return; }
    const shown = `${job.id} ${job.state}`;
    if (this.shown !== shown) {
      this.shown = shown;
      this.tasks = el("div", { class: "tasks" });
      const focused = this.job.contains(document.activeElement);
      fill(this.job, job.ended_at === null ? this.runs(job) : this.over(job));
      if (focused) this.job.firstElementChild.focus();
    }
    if (job.ended_at === null) this.showTasks(job);
  }

  runs(job) {
    const { t } = this;
    const stop = this.view.may_change && el("button", { type: "button", class: "plain", name: "stop", disabled: job.state === "stopping", onclick: () => this.stopJob(job, stop) }, t(job.state === "stopping" ? "stopping" : "stop"));
    return el("section", { class: "card pad", tabindex: "-1", "aria-labelledby": "job" }, el("h2", { id: "job", role: "status" }, t(`doing.${job.kind}`)), el("p", { class: "soft" }, t("by", { name: job.by })), this.tasks, stop);
  }

  showTasks(job) {
    const lines = job.tasks.map((task) => el("div", { class: "task" }, el("span", {}, task.text),
      el("progress", { "aria-label": task.text, max: task.total ? "1" : null, value: task.total ? Math.min(1, task.done / task.total).toFixed(4) : null }),
      el("span", { class: "soft" }, task.total ? `${this.n(task.done)} / ${this.n(task.total)}` : task.done ? this.n(task.done) : "")));
    const notes = job.notes.slice(-3).map((note) => el("p", { class: "soft", lang: "en" }, note.text));
    fill(this.tasks, lines.length ? lines : el("div", { class: "task" }, el("span", {}, this.t("begins")), el("progress", { "aria-label": this.t("begins") })), notes);
  }

  async stopJob(job, button) {
    button.disabled = true;
    try {
      this.view.job = (await this.app.api("POST", "/app/api/suggest/stop", { id: job.id })).job;
      this.showJob(this.view.job);
    } catch (error) {
      if ("kind" in error) this.app.stop(error);
      else button.disabled = false;
    }
  }

  over(job) {
    const { t } = this;
    const time = new Date(job.ended_at).toLocaleTimeString(this.app.language, { hour: "2-digit", minute: "2-digit" });
    const head = (name, values) => el("p", { class: "outcome" }, el("b", {}, t(name, values)), " ", el("span", { class: "soft" }, `${job.by}, ${time}`));
    const notes = job.notes.slice(-3).map((note) => el("p", { class: "soft", lang: "en" }, note.text));
    if (job.state === "failed") return el("section", { class: "card pad", tabindex: "-1", role: "alert", data: { state: "failed" } }, head(`failed.${job.kind}`), el("p", { lang: "en" }, job.message), job.hint && el("p", { class: "soft hint", lang: "en" }, job.hint));
    if (job.state === "stopped") return el("section", { class: "card pad", tabindex: "-1", role: "status", data: { state: "stopped" } }, head(`stopped.${job.kind}`));
    const found = job.found;
    if (job.kind === "propose") return el("section", { class: "card pad", tabindex: "-1", role: "status", data: { state: "done" } }, head("proposed", { round: found.round, n: this.n(found.n) }), notes);
    if (job.kind === "train") {
      return el("section", { class: "card pad", tabindex: "-1", role: "status", data: { state: "done" } },
        head(`trained.${found.alias === "champion" ? "champion" : "candidate"}`, { model: found.model.slice(0, 8), n: this.n(found.n_train) }),
        el("p", { class: "soft", lang: "en" }, found.reason), el("p", { class: "answers" }, el("a", { href: `#/model?show=${found.model}` }, t("to_model"))), notes);
    }
    const sent = found.created + found.adopted + found.resumed + found.reopened;
    return el("section", { class: "card pad", tabindex: "-1", role: "status", data: { state: "done" } },
      sent ? head("sent", { n: this.n(sent), waiting: this.n(found.waiting) }) : head("sent_nothing"),
      found.missing.length > 0 && el("p", { class: "note-text" }, t("missing", { n: this.n(found.missing.length) })),
      el("p", { class: "answers" }, el("a", { href: "#/vote" }, t("to_vote")), " ", this.toStudio(found.url, "to_studio")), notes);
  }
}
