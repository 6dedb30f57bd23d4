// One key or one tap per face. The next faces are here already, pictures and all; what was said travels behind.

import { Offline } from "./api.js";
import { el, fill } from "./dom.js";
import { Outbox } from "./outbox.js";

const AHEAD = 6;              // faces that are held, the one on the screen included
const TOO_QUICK_MS = 120;     // nobody judges a face so soon: a key that was pressed twice
const LOOK_AGAIN_MS = 15000;  // with an empty queue
const LARGEST = 8;            // times the size that a picture has: more shows pixels, not faces
const API = "/app/api/vote";

export async function show(main, app) {
  const page = new VotePage(main, app);
  await page.start();
  return () => page.close();
}

class VotePage {
  constructor(main, app) {
    Object.assign(this, { main, app, faces: [], history: [], left: 0, second: null, stars: 0, marked: new Set(), ended: false });
    this.t = app.t;
    this.outbox = new Outbox(`emolab-out/${app.me.project}/${app.me.name}/`, {
      post: (path, body) => app.api("POST", path, { ...body, ...this.wants() }),
      told: (answer, entry) => this.told(answer, entry),
      refused: (error, entry) => this.refused(error, entry),
      line: (kind) => this.line(kind),
      stop: (error) => app.stop(error),
    });
    this.onkey = (event) => this.key(event);
    this.onseen = () => this.clock(document.hidden);
  }

  async start() {
    this.form = await this.app.api("GET", `${API}/form?language=${this.app.language}`);
    this.build();
    document.addEventListener("keydown", this.onkey);
    document.addEventListener("visibilitychange", this.onseen);
    await this.outbox.run();
    if (this.outbox.ended) return;
    const [last] = await Promise.all([this.app.api("GET", `${API}/last`), this.more()]);
    this.history = last.answers.reverse();
    this.buttons();
    if (!this.outbox.size) this.line("good");
  }

  close() {
    this.ended = true;
    this.faces[0]?.end?.();
    clearTimeout(this.again);
    this.outbox.close();
    document.removeEventListener("keydown", this.onkey);
    document.removeEventListener("visibilitychange", this.onseen);
  }

  // -- the page

  build() {
    const { form, t } = this;
    this.stage = el("div", { class: "stage card" });
    this.said = el("p", { class: "said", role: "status" });
    this.count = el("span", { class: "left" });
    this.answers = new Map();
    const button = (one) => {
      const made = el("button", {
        type: "button", class: one.meta ? "answer meta" : "answer", "aria-keyshortcuts": one.key.toUpperCase(),
        "aria-pressed": form.several ? "false" : null, data: { label: one.label }, onclick: () => this.press(one.label),
      }, el("kbd", { "aria-hidden": "true" }, one.key.toUpperCase()), el("span", {}, one.text), el("span", { class: "hidden-text" }));
      this.answers.set(one.label, made);
      return made;
    };
    this.skip = el("button", { type: "button", class: "plain", "aria-keyshortcuts": "ArrowRight",
      onclick: () => this.submit(null) }, t("vote.skip"), " ", el("kbd", { "aria-hidden": "true" }, "→"));
    this.send = form.several && el("button", { type: "button", class: "plain send", "aria-keyshortcuts": "Enter",
      onclick: () => this.sendMarked() }, t("vote.send"), " ", el("kbd", { "aria-hidden": "true" }, "⏎"));
    this.back = el("button", { type: "button", class: "plain", "aria-keyshortcuts": "Backspace",
      onclick: () => this.undo() }, t("vote.undo"), " ", el("kbd", { "aria-hidden": "true" }, "⌫"));
    this.secondButton = form.second && el("button", { type: "button", class: "plain", "aria-pressed": "false",
      onclick: () => this.chooseSecond() }, el("span", {}), " ", el("kbd", { "aria-hidden": "true" }, t("vote.shift")));
    this.starButtons = form.confidence ? [1, 2, 3].map((n) => el("button", { type: "button", class: "star",
      "aria-label": `${t("vote.sure")} ${n}/3`, "aria-pressed": "false", onclick: () => this.sure(n === this.stars ? 0 : n) },
    )) : [];
    this.panel = el("section", { class: "panel", "aria-label": form.question },
      el("div", { class: "choices" }, form.buttons.filter((one) => !one.meta).map(button)),
      el("div", { class: "choices metas" }, form.buttons.filter((one) => one.meta).map(button)),
      (form.second || form.confidence) && el("div", { class: "more" },
        this.secondButton,
        form.confidence && el("span", { class: "stars" }, t("vote.sure"), " ", this.starButtons,
          el("kbd", { "aria-hidden": "true" }, "↑↓"))),
      el("div", { class: "tools" }, this.back, this.skip, this.send));
    this.empty = el("section", { class: "card notice", hidden: true }, el("h1"), el("p"));
    this.room = el("div", { class: form.second || form.confidence ? "vote extra" : "vote" },
      el("div", { class: "ask" }, el("h1", {}, form.question), this.count),
      this.stage, this.panel, this.said, this.help());
    fill(this.main, this.room, this.empty);
    if (this.faces.length) this.showFace();
    this.buttons();
  }

  help() {
    const { form, t } = this;
    const examples = form.buttons.filter((one) => one.examples);
    return el("details", { class: "help card" }, el("summary", {}, t("vote.help")),
      form.own.split(/\n\s*\n/).filter(Boolean).map((text) => el("p", { class: "own" }, text)),
      el("p", {}, form.task), el("p", {}, t(form.several ? "vote.several" : "vote.submit")), el("p", {}, form.cannot),
      examples.length > 0 && el("h2", {}, form.examples),
      examples.length > 0 && el("dl", { class: "examples" }, examples.map((one) => el("div", {},
        el("dt", {}, one.text),
        el("dd", {}, Array.from({ length: one.examples }, (_, n) => el("img", {
          src: `${API}/examples/${encodeURIComponent(one.label)}/${n}`, alt: "", loading: "lazy", height: 96 })))))));
  }

  /** Everything beside the picture, as things are now. */
  buttons() {
    const face = this.faces[0];
    this.count.textContent = this.t("vote.left", { n: this.left.toLocaleString(this.app.language) });
    this.back.disabled = this.history.length === 0;
    for (const [label, made] of this.answers) {
      made.dataset.guess = face?.guess === label ? "yes" : "";
      made.dataset.second = this.second === label ? "yes" : "";
      if (this.form.several) made.setAttribute("aria-pressed", String(this.marked.has(label)));
      made.lastChild.textContent = face?.guess === label ? this.t("vote.guess") : "";
    }
    if (this.send) this.send.disabled = this.marked.size === 0;
    if (this.secondButton) {
      this.secondButton.setAttribute("aria-pressed", String(this.choosing === true));
      this.secondButton.firstChild.textContent = this.second
        ? `${this.t("vote.second")}: ${this.text(this.second)}` : this.t("vote.second");
    }
    this.starButtons.forEach((star, i) => {
      star.setAttribute("aria-pressed", String(i < this.stars));
      star.textContent = i < this.stars ? "★" : "☆";
    });
  }

  text(label) { return this.form.buttons.find((one) => one.label === label)?.text ?? label; }

  line(kind) {
    if (this.ended) return;
    this.lineKind = kind;
    const waits = this.outbox.size;
    if (kind === "bad") this.app.line("bad", this.t("vote.offline", { n: waits }));
    else if (this.refusedOnes) this.app.line("bad", this.t("vote.refused", { n: this.refusedOnes }));
    else if (this.studioAway && this.waiting) this.app.line("wait", this.t("vote.waiting", { n: this.waiting }));
    else this.app.line("good", "");
  }

  // -- faces

  /** Ask for further faces, where there is room for them. */
  async more() {
    clearTimeout(this.again);
    if (this.asking || this.ended) return;
    this.asking = true;
    try {
      this.take(await this.app.api("POST", `${API}/next`, this.wants()));
    } catch (error) {
      if (!(error instanceof Offline)) { this.app.stop(error); return; }
      this.line("bad");
      this.again = setTimeout(() => this.more(), 2000);
    } finally {
      this.asking = false;
    }
  }

  /** The faces that need no sending: on the screen, behind it, and answered without the server knowing. */
  wants() {
    const holding = [...this.faces.map((face) => face.sample), ...this.unsent()];
    return { holding, n: Math.max(0, AHEAD - this.faces.length) };
  }

  unsent() { return this.outbox.entries.filter((one) => one.body.sample).map((one) => one.body.sample); }

  take(told) {
    if (this.ended) return;
    const pending = new Set(this.unsent());
    const held = new Set(this.faces.map((face) => face.sample));
    const fresh = told.faces.filter((face) => !held.has(face.sample) && !pending.has(face.sample));
    const none = this.faces.length === 0;
    for (const face of fresh) this.faces.push(preload(face));
    this.left = Math.max(this.faces.length, told.left - pending.size);
    [this.waiting, this.refusedOnes, this.studioAway, this.asked] = [told.waiting, told.refused, !told.studio, told.asked];
    this.line("good");
    if (none) this.showFace();
    this.buttons();
  }

  showFace() {
    const face = this.faces[0];
    this.room.hidden = !face;
    this.empty.hidden = Boolean(face);
    [this.second, this.stars, this.choosing, this.shownAt, this.away] = [null, 0, false, null, 0];
    this.marked.clear();
    if (!face) {
      const kind = this.asked === false ? "nothing" : "done";
      this.empty.children[0].textContent = this.t(`vote.${kind}.title`);
      const more = kind === "nothing" && this.app.me.pages.includes("suggest");  // whoever sees all pages lands here too
      this.empty.children[1].textContent = this.t(`vote.${kind}.text`) + (more ? ` ${this.t("vote.elsewhere", { model: this.t("pages.model"), suggest: this.t("pages.suggest") })}` : "");
      if (this.history.length && this.empty.children.length < 3) {
        this.empty.append(el("button", { type: "button", class: "plain", onclick: () => this.undo() }, this.t("vote.undo")));
      }
      clearTimeout(this.again);
      this.again = setTimeout(() => this.more(), LOOK_AGAIN_MS);
      return;
    }
    fill(this.stage, face.element, face.begin && el("p", { class: "listen" }, this.t("vote.listen"), " ", el("kbd", {}, "␣")));
    face.ready.then(() => {
      if (this.faces[0] !== face) return;
      this.shownAt = performance.now();
      this.hiddenAt = document.hidden ? this.shownAt : null;
      this.stage.dataset.sample = face.sample;
      this.stage.dataset.shown = String(Number(this.stage.dataset.shown || 0) + 1);
      face.begin?.();
    }, () => {
      if (this.faces[0] !== face || this.ended) return;
      fill(this.stage, el("p", { class: "broken" }, this.t("vote.broken")));
      setTimeout(() => { if (this.faces[0] === face) { Object.assign(face, preload(face)); this.showFace(); } }, 2000);
    });
  }

  /** Time in which nobody could look does not count. */
  clock(hidden) {
    if (hidden) this.hiddenAt = performance.now();
    else if (this.hiddenAt) { this.away += performance.now() - this.hiddenAt; this.hiddenAt = null; }
  }

  // -- what a person does

  key(event) {
    if (event.repeat || event.ctrlKey && event.key.toLowerCase() !== "z" || event.metaKey || event.altKey) return;
    if (event.target.closest?.("select, input, textarea")) return;
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    const letter = event.key.length === 1 ? event.key.toLowerCase() : "";
    const known = this.form.buttons.find((one) => one.key === (digit ?? letter));
    let done = true;
    if (event.key === "Backspace" || event.ctrlKey) this.undo();
    else if (event.key === "ArrowRight") this.submit(null);
    else if (event.key === "Enter" && this.form.several && !event.target.closest?.("button, summary, a")) this.sendMarked();
    else if (event.key === " " && this.faces[0]?.begin && !event.target.closest?.("button, summary")) this.faces[0].begin();
    else if (event.key === "ArrowUp" && this.form.confidence) this.sure(Math.min(3, this.stars + 1));
    else if (event.key === "ArrowDown" && this.form.confidence) this.sure(Math.max(0, this.stars - 1));
    else if (known && event.shiftKey && this.form.second) this.markSecond(known.label);
    else if (known && !event.shiftKey) this.press(known.label);
    else done = false;
    if (done) event.preventDefault();
  }

  press(label) {
    if (this.form.several) this.mark(label);
    else if (this.choosing) this.markSecond(label);
    else this.submit(label);
  }

  /** Add a class to the answer, or take it off; "cannot say" stands alone. */
  mark(label) {
    if (!this.faces[0] || this.shownAt === null) return;
    const metas = new Set(this.form.buttons.filter((one) => one.meta).map((one) => one.label));
    if (this.marked.has(label)) this.marked.delete(label);
    else {
      for (const other of [...this.marked]) if (metas.has(label) || metas.has(other)) this.marked.delete(other);
      this.marked.add(label);
    }
    this.buttons();
  }

  sendMarked() {
    const said = this.form.buttons.map((one) => one.label).filter((label) => this.marked.has(label));
    if (said.length) this.submit(said[0], said.slice(1));
  }

  chooseSecond() {
    this.choosing = !this.choosing;
    this.buttons();
  }

  markSecond(label) {
    if (this.form.buttons.find((one) => one.label === label)?.meta) return;
    this.second = this.second === label ? null : label;
    this.choosing = false;
    this.buttons();
  }

  sure(stars) {
    this.stars = stars;
    this.buttons();
  }

  submit(label, also = []) {
    const face = this.faces[0];
    if (!face || this.shownAt === null || performance.now() - this.shownAt < TOO_QUICK_MS) return;
    const seconds = (performance.now() - this.shownAt - this.away) / 1000;
    const body = { id: crypto.randomUUID?.() ?? uuid(), sample: face.sample, seconds: Math.round(seconds * 1000) / 1000,
      shown: face.guess };
    if (label === null) body.skip = true;
    else {
      body.label = label;
      if (also.length) body.also = also;
      if (this.second && this.second !== label) body.second = this.second;
      if (this.stars) body.stars = this.stars;
    }
    this.faces.shift();
    face.end?.();
    this.history.push({ id: body.id, face });
    if (this.history.length > 50) this.history.shift();
    this.left = Math.max(0, this.left - 1);
    this.said.textContent = label === null ? this.t("vote.skipped") : `${this.t("vote.last")} ${[label, ...also].map((one) => this.text(one)).join(" + ")}`;
    this.showFace();
    this.buttons();
    this.outbox.add(`${API}/answers`, body);
    if (this.lineKind === "bad") this.line("bad");
  }

  undo() {
    const last = this.history.pop();
    if (!last) return;
    this.faces[0]?.end?.();
    const face = last.face.element ? last.face : preload(last.face);
    this.faces = [face, ...this.faces.filter((one) => one.sample !== face.sample)];
    this.left += 1;
    this.said.textContent = this.t("vote.undone");
    this.showFace();
    this.buttons();
    this.outbox.add(`${API}/undo`, { id: crypto.randomUUID?.() ?? uuid(), answer: last.id });
  }

  // -- what the server says

  told(answer, entry) {
    if (entry.path.endsWith("/undo") && answer.face === null) {
      this.faces = this.faces.filter((face) => face.sample !== entry.body.sample);
    }
    this.take(answer);
    if (this.faces.length === 0) this.showFace();
  }

  refused(error, entry) {
    const known = error.kind === "answered_already";
    this.said.textContent = known ? this.t("vote.already") : `${this.t("vote.untaken")} ${error.message}`;
    this.history = this.history.filter((one) => one.id !== entry.body.id);
    this.more();
  }
}

/** A face with its element and a promise that it can be looked at. Further kinds of samples are further elements. */
function preload(face) {
  return (KINDS[face.kind] ?? picture)(face);
}

const KINDS = { audio: sound, text: sentence };

/** A clip: it starts by itself when it is its turn, and again when asked. */
function sound(face) {
  const player = el("audio", { src: face.picture, controls: true, preload: "auto" });
  const ready = new Promise((done, failed) => {
    player.addEventListener("canplaythrough", () => done(), { once: true });
    player.addEventListener("error", () => failed(new Error("no sound")), { once: true });
  });
  ready.catch(() => {});  // of a clip behind the one on the screen, which says it when it is its turn
  player.load();
  const begin = () => {
    player.currentTime = 0;
    player.play().catch(() => {});  // before the first key or tap browsers play nothing by themselves
  };
  return { ...face, element: player, ready, begin, end: () => player.pause() };
}

/** A sentence, as it is stored. */
function sentence(face) {
  const element = el("blockquote", { class: "sentence" });
  const ready = fetch(face.picture).then((answer) => {
    if (!answer.ok) throw new Error("no sentence");
    return answer.text();
  }).then((text) => { element.textContent = text; });
  ready.catch(() => {});
  return { ...face, element, ready };
}

function picture(face) {
  const element = el("img", { src: face.picture, alt: "", draggable: "false", decoding: "async" });
  const ready = element.decode().then(() => {
    element.style.maxWidth = `${LARGEST * element.naturalWidth}px`;
    element.style.maxHeight = `${LARGEST * element.naturalHeight}px`;
  });
  return { ...face, element, ready };
}

/** For pages without TLS on another machine, where browsers have no randomUUID. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
