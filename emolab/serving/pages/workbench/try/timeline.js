// Who was there when, and what each face showed: layers of classes over the time of a video.

import { svg, ticks } from "../charts.js";
import { el } from "../dom.js";
import { percent } from "../wall.js";
import { clock } from "./film.js";

/** Faces that get a chart, colours of the style sheet, and boxes that share less than this are two faces. */
const MOST = 6, COLOURS = 9, SHARED = 0.25;
const [LEFT, RIGHT, TOP, HIGH, BELOW] = [8, 8, 6, 58, 22];

/**
 * Charts of { at, image } for a video of `length` seconds, looked at every `step`: { element, faces, mark(at) }.
 * `choose(place)` is called with the place of a moment that was pressed.
 */
export function timeline({ moments, length, step, t, name, choose }) {
  const classes = Object.keys(moments.flatMap(({ image }) => image.faces)[0]?.probs ?? {});
  const faces = tracks(moments, step).sort((a, b) => b.seen.length - a.seen.length).slice(0, MOST).sort((a, b) => a.first - b.first);
  const width = matchMedia("(max-width: 640px)").matches ? 330 : 640;
  const x = (at) => LEFT + (at / length) * (width - LEFT - RIGHT);
  const marks = [];
  const lanes = faces.map((face, place) => {
    const mark = svg("line", { class: "now", x1: LEFT, x2: LEFT, y1: TOP - 4, y2: TOP + HIGH + 4 });
    marks.push(mark);
    const chart = svg("svg", { viewBox: `0 0 ${width} ${TOP + HIGH + BELOW}`, role: "img", class: "chart lane", "aria-label": t("film_chart", { n: place + 1 }) },
      svg("rect", { class: "ground", x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: HIGH, rx: 4 }),
      pieces(face.seen, step).map((piece) => layers(piece, classes, x, step, length)),
      ticks(0, length, width < 400 ? 4 : 8).map((tick) => svg("text", { x: x(tick), y: TOP + HIGH + 16, "text-anchor": tick ? (tick > 0.96 * length ? "end" : "middle") : "start" }, length < 8 ? `${tick} s` : clock(tick))),
      mark);
    if (choose) chart.addEventListener("click", (event) => {
      const box = chart.getBoundingClientRect();
      const at = (((event.clientX - box.left) / box.width) * width - LEFT) / (width - LEFT - RIGHT) * length;
      choose(moments.reduce((best, moment, i) => (Math.abs(moment.at - at) < Math.abs(moments[best].at - at) ? i : best), 0));
    });
    return el("section", {}, el("h2", {}, t("face_n", { n: place + 1 })), chart);
  });
  const element = el("div", { class: "card pad timeline" }, faces.length > 0 && legend(classes, name), lanes, faces.length > 0 && table(faces, classes, step, { t, name }));
  return { element, faces: faces.length, mark(at) { for (const mark of marks) { mark.setAttribute("x1", x(at)); mark.setAttribute("x2", x(at)); } } };
}

/** Faces that lie where one lay a moment before are the same face. */
function tracks(moments, step) {
  const found = [];
  for (const { at, image } of moments) {
    const free = new Set(found.filter((one) => at - one.last <= 3.01 * step));
    for (const face of image.faces) {
      const near = [...free].map((one) => [overlap(one.box, face.box), one]).sort((a, b) => b[0] - a[0])[0];
      const one = near && near[0] >= SHARED ? near[1] : { first: at, seen: [] };
      if (!one.seen.length) found.push(one);
      free.delete(one);
      one.seen.push({ at, probs: face.probs });
      [one.last, one.box] = [at, face.box];
    }
  }
  return found;
}

function overlap(a, b) {
  if (!a || !b) return a || b ? 0 : 1;
  const side = (from, long, other, wide) => Math.max(0, Math.min(from + long, other + wide) - Math.max(from, other));
  const shared = side(a.x, a.width, b.x, b.width) * side(a.y, a.height, b.y, b.height);
  return shared / Math.min(a.width * a.height, b.width * b.height);
}

function pieces(seen, step) {
  const found = [];
  for (const one of seen) {
    const last = found.at(-1);
    if (last && one.at - last.at(-1).at <= 1.5 * step) last.push(one); else found.push([one]);
  }
  return found;
}

function layers(piece, classes, x, step, length) {
  const ends = [...piece, { at: Math.min(length, piece.at(-1).at + step), probs: piece.at(-1).probs }];
  const below = ends.map(() => 0);
  return classes.map((label, number) => {
    const low = [...below];
    ends.forEach((one, i) => { below[i] += one.probs[label]; });
    if (!ends.some((one) => one.probs[label] >= 0.005)) return null;
    const y = (share) => TOP + HIGH - share * HIGH;
    const edge = [...ends.map((one, i) => [x(one.at), y(below[i])]), ...ends.map((one, i) => [x(one.at), y(low[i])]).reverse()];
    return svg("polygon", { class: `c${(number % COLOURS) + 1}`, points: edge.map((point) => point.map((value) => value.toFixed(1)).join(",")).join(" ") });
  });
}

function legend(classes, name) {
  return el("p", { class: "legend" }, classes.map((label, number) => el("span", { class: `c${(number % COLOURS) + 1}` }, name(label))));
}

function table(faces, classes, step, { t, name }) {
  const rows = faces.map((face, place) => {
    const means = classes.map((label) => [label, face.seen.reduce((sum, one) => sum + one.probs[label], 0) / face.seen.length]);
    const [label, share] = means.sort((a, b) => b[1] - a[1])[0];
    return el("tr", {}, el("th", { scope: "row" }, String(place + 1)), el("td", {}, `${clock(face.first)} – ${clock(face.last + step)}`), el("td", {}, `${name(label)} ${percent(share)}`));
  });
  return el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "figures" }, el("thead", {}, el("tr", {}, ["film_face", "film_when", "film_mostly"].map((key) => el("th", { scope: "col" }, t(key))))), el("tbody", {}, rows)));
}
