// One sample in full: its picture, and votes, label and predictions side by side.

import { el, fill } from "./dom.js";
import { percent, picture } from "./wall.js";

/** Fill `side` with all that is known of a sample; `acts` close the view and step to the next one. */
export function sampleView(side, view, t, { close, step, note, language }) {
  const { sample } = view;
  const again = side.contains(document.activeElement);
  const button = (label, text, act) => el("button", { type: "button", class: "plain", "aria-label": label, title: label, onclick: act }, text);
  const closing = button(t("close"), "✕", close);
  fill(side,
    el("div", { class: "side-head" }, el("h2", { title: sample.name ?? sample.id }, sample.name ?? sample.id.slice(0, 12)),
      el("span", {}, button(t("previous"), "‹", () => step(-1)), button(t("next"), "›", () => step(1)), closing)),
    el("div", { class: "face" }, (WHOLE[sample.modality] ?? face)(sample, t)),
    note && el("p", { class: "note-text" }, note),
    sideBySide(view, t),
    el("h3", {}, t("votes")), view.votes.length ? el("ul", { class: "votes" }, view.votes.map((vote) => said(vote, t))) : el("p", { class: "soft" }, t("no_votes")),
    view.rounds.length > 0 && el("ul", { class: "soft plain-list" }, view.rounds.map((one) => el("li", {}, t("in_round", one)))),
    el("h3", {}, t("facts")), facts(sample, t, language));
  side.onkeydown = (event) => {
    const act = { Escape: close, ArrowRight: () => step(1), ArrowLeft: () => step(-1) }[event.key];
    if (act) { event.preventDefault(); act(); }
  };
  if (!again || document.activeElement === document.body) closing.focus({ preventScroll: true });
}

const face = (sample, t) => picture(sample.id, t, "", "eager");

/** Samples that are no pictures, in full: the others are elements of their own. */
const WHOLE = {
  audio: (sample, t) => el("div", { class: "clip" }, picture(sample.id, t, "small/", "eager"),
    el("audio", { src: `/app/pictures/${sample.id}`, controls: true, preload: "metadata" })),
  text: (sample) => {
    const quote = el("blockquote", { class: "sentence" });
    fetch(`/app/pictures/${sample.id}`).then((answer) => (answer.ok ? answer.text() : Promise.reject(new Error(answer.statusText))))
      .then((text) => { quote.textContent = text; }, () => { quote.textContent = "–"; });
    return quote;
  },
};

/** One row a class, one column a voice: shares of the votes, the label, and each model that was asked. */
function sideBySide(view, t) {
  const cast = shares(view.votes);
  const columns = [
    cast && { name: t("votes"), shares: cast },
    view.label && { name: t("label"), shares: view.label.shares },
    ...view.predictions.map((one) => ({ name: one.aliases.includes("champion") ? t("champion") : `${t("model")} ${one.model.slice(0, 6)}`, shares: one.shares })),
  ].filter(Boolean);
  if (!columns.length) return el("p", { class: "soft" }, t("no_prediction"));
  const classes = [...new Set([...view.classes, ...columns.flatMap((column) => Object.keys(column.shares))])]
    .filter((name) => columns.some((column) => (column.shares[name] ?? 0) >= 0.005));
  const best = columns.map((column) => classes.reduce((top, name) => ((column.shares[name] ?? 0) > (column.shares[top] ?? 0) ? name : top), classes[0]));
  return [
    el("div", { class: "beside", tabindex: "0" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("class")), columns.map((column) => el("th", { scope: "col" }, column.name)))),
      el("tbody", {}, classes.map((name) => el("tr", {}, el("th", { scope: "row" }, name),
        columns.map((column, place) => el("td", { data: { best: best[place] === name } }, bar(column.shares[name] ?? 0)))))))),
    !view.predictions.length && el("p", { class: "soft" }, t("no_prediction")),
  ];
}

function bar(share) {
  return el("span", { class: "bar", style: { "--share": share.toFixed(3) } }, share < 0.005 ? "" : percent(share));
}

/** Shares of the votes that count, by what was said; null without any. */
function shares(votes) {
  const counted = votes.filter((vote) => vote.said !== null && vote.rejected === null);
  const people = counted.reduce((sum, vote) => sum + vote.people, 0);
  if (!people) return null;
  const found = {};
  for (const vote of counted) {
    const labels = [vote.said, ...vote.also];
    for (const label of labels) found[label] = (found[label] ?? 0) + vote.people / people / labels.length;
  }
  return found;
}

function said(vote, t) {
  const more = [vote.people > 1 && `× ${vote.people}`, vote.second && t("second", { label: vote.second }),
    vote.confidence !== null && t("sure_of_it", { percent: percent(vote.confidence) }),
    vote.seconds !== null && t("seconds", { n: vote.seconds.toFixed(1) }), vote.rejected && t("not_counted")].filter(Boolean).join(" · ");
  return el("li", { data: { counts: vote.rejected === null } }, el("span", { class: "voter" }, vote.annotator),
    el("b", {}, vote.said === null ? t("skipped") : [vote.said, ...vote.also].join(" + ")), el("span", { class: "soft" }, more));
}

function facts(sample, t, language) {
  const rows = [
    [t("source"), sample.source], [t("split"), sample.split ?? t("no_split")], [t("group"), sample.group],
    [t("size"), sample.width && `${sample.width} × ${sample.height}`],
    [t("added"), sample.added_at && new Date(sample.added_at).toLocaleDateString(language)],
    [t("licence"), sample.licence], [t("consent"), sample.consent],
    [t("copy_of"), sample.representative && sample.representative !== sample.id && sample.representative.slice(0, 12)],
    ...Object.entries(sample.quality).map(([name, value]) => [name, typeof value === "number" ? String(Number(value.toFixed(2))) : value]),
    ["id", el("code", {}, sample.id)],
  ].filter(([, value]) => value);
  return el("dl", { class: "facts" }, rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
