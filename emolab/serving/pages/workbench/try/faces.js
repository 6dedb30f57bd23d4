// What the model says of a picture: boxes on it, and for each face a card with bars and the set that holds the right class.

import { el, fill } from "../dom.js";
import { percent } from "../wall.js";

/** Boxes on the picture that `shot` holds, with numbers where there are several faces. */
export function drawBoxes(shot, image) {
  const [width, height] = image.size ?? [1, 1];
  for (const old of shot.querySelectorAll(".box")) old.remove();
  image.faces.forEach((face, place) => {
    if (!face.box) return;
    shot.append(el("span", { class: "box", style: area(face.box, width, height) }, image.faces.length > 1 ? String(place + 1) : ""));
  });
}

/** Where a part { x, y, width, height } of a picture of this size lies, as percentages. */
export function area({ x, y, width, height }, across, down) {
  return { left: `${(100 * x) / across}%`, top: `${(100 * y) / down}%`, width: `${(100 * width) / across}%`, height: `${(100 * height) / down}%` };
}

/** A card for each face into `told`; `acts(face, place)` gives the buttons of a picture that stands still. */
export function drawFaces(told, image, coverage, { t, name, acts }) {
  if (!image.faces.length) {
    fill(told, el("p", { class: "card pad" }, t("no_face"), image.note && el("span", { class: "soft" }, ` ${image.note}`)));
    return;
  }
  fill(told, image.faces.map((face, place) => el("section", { class: "card pad face-card" },
    el("h2", {}, image.faces.length > 1 && `${place + 1}: `, name(face.label), " ", el("span", { class: "soft" }, percent(face.confidence)), face.unsure && el("span", { class: "soft" }, ` · ${t("unsure")}`)),
    bars(face, name, t), sureness(face, coverage, { t, name }), face.note && el("p", { class: "note-text" }, face.note), acts?.(face, place))));
}

/** A row for each class, likeliest first, with a mark on those in `face.among`. */
export function bars(face, name, t) {
  const among = new Set(face.among ?? []);
  return el("table", { class: "bars" }, el("tbody", {}, Object.entries(face.probs).sort((a, b) => b[1] - a[1]).map(([label, share]) =>
    el("tr", { data: { among: among.has(label) } },
      el("th", { scope: "row" }, el("span", { class: "dot", "aria-hidden": "true" }, among.has(label) ? "●" : ""), name(label), among.has(label) && el("span", { class: "hidden-text" }, ` ${t("in_set")}`)),
      el("td", { data: { best: label === face.label } }, el("span", { class: "bar", style: { "--share": share.toFixed(3) } }, percent(share)))))));
}

/** One line that says how sure the answer is, or that the model cannot say it. */
function sureness(face, coverage, { t, name }) {
  if (!face.among || coverage === null) return el("p", { class: "soft sure" }, t("no_set"));
  const names = face.among.map(name).join(", ");
  return el("p", { class: "sure" }, t(face.among.length > 1 ? "among" : "only", { names, percent: percent(coverage) }));
}
