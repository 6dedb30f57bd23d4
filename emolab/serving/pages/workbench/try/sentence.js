// Try a model of sentences: what is typed is answered with every class that applies. Nothing is kept.

import { el, fill } from "../dom.js";
import { percent } from "../wall.js";
import { bars } from "./faces.js";

/** The page, where the model that answers does not look at pictures. `name` gives the word for a label. */
export function showSentences(main, app, t, name) {
  const told = el("div", { class: "answer", "aria-live": "polite" });
  const text = el("textarea", { id: "sentence", rows: 3, maxlength: 2000, required: true });
  let turn = 0;
  const ask = async (event) => {
    event.preventDefault();
    const mine = ++turn;
    fill(told, el("p", { role: "status" }, t("working")));
    try {
      const answer = await app.api("POST", "/app/api/try", { text: text.value });
      if (turn === mine) fill(told, card(answer.samples[0], answer.coverage));
    } catch (error) {
      if (!("kind" in error)) { app.stop(error); return; }
      if (turn === mine) fill(told, el("p", { role: "alert", class: "note-text" }, error.message));
    }
  };
  const card = (sample, coverage) => el("section", { class: "card pad face-card" },
    el("h2", {}, sample.labels.map(name).join(", ")), el("p", { class: "soft" }, sample.sample), bars({ ...sample, among: sample.labels }, name, t),
    sample.among && el("p", { class: "sure" }, t("sentence_among", { names: sample.among.map(name).join(", "), percent: percent(coverage) })));
  fill(main, el("div", { class: "head" }, el("h1", {}, t("title"))),
    el("form", { class: "card pad", onsubmit: ask }, el("p", {}, el("label", { for: "sentence" }, t("sentence"))), text,
      el("p", { class: "acts" }, el("button", { type: "submit" }, t("ask"))), el("p", { class: "soft" }, t("text_reader"))),
    told);
  return () => { turn += 1; };
}
