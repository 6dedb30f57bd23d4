// What the model looked at: a map laid over the face, red where it spoke for the answer, blue where against.

import { el } from "../dom.js";
import { area } from "./faces.js";

const FOR = [214, 40, 40], AGAINST = [38, 84, 214];

/** A button that shows and hides the map of one face; `picture` is what `shot` shows, `place` counts faces from 0. */
export function lookButton({ app, t, name, shot, picture, place, refused }) {
  const legend = el("div", { class: "looked-legend", hidden: true, role: "status" });
  let layer = null;
  const button = el("button", { type: "button", class: "plain", "aria-pressed": "false", onclick: press }, t("looked"));

  async function press() {
    if (layer) { show(layer.hidden); return; }
    button.disabled = true;
    legend.hidden = false;
    legend.textContent = t("looking");
    try {
      const found = await app.api("POST", `/app/api/try/looked?face=${place + 1}`, undefined, { raw: picture });
      layer = overlay(shot, found);
      legend.replaceChildren(
        el("span", { class: "swatch", data: { kind: "for" } }, t("spoke_for", { name: name(found.label) })),
        el("span", { class: "swatch", data: { kind: "against" } }, t("spoke_against")),
        found.way === "occlusion" ? el("p", { class: "soft" }, t("by_covering")) : "");
      shot.append(layer);
      show(true);
    } catch (error) {
      legend.hidden = true;
      refused(error);
    } finally {
      button.disabled = false;
    }
  }

  function show(yes) {
    layer.hidden = legend.hidden = !yes;
    button.setAttribute("aria-pressed", String(yes));
  }

  return [button, legend];
}

function overlay(shot, found) {
  const shown = shot.querySelector("img");
  const [across, down] = [shown.naturalWidth, shown.naturalHeight];
  const cut = found.cut ?? { x: 0, y: 0, width: across, height: down };
  const side = Math.max(cut.width, cut.height);
  const square = { x: (cut.width - side) / 2, y: (cut.height - side) / 2, width: side, height: side };
  const n = found.values.length;
  const canvas = el("canvas", { width: n, height: n, style: area(square, cut.width, cut.height) });
  const pixels = new ImageData(n, n);
  found.values.flat().forEach((value, i) => {
    pixels.data.set([...(value > 0 ? FOR : AGAINST), Math.round(Math.abs(value) * 170)], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return el("div", { class: "looked", "aria-hidden": "true", style: area(cut, across, down) }, canvas);
}
