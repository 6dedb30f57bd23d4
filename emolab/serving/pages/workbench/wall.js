// Tiles of samples: pictures that load as they are reached, moved through by arrow keys, chosen by x or a tick.

import { el } from "./dom.js";

/** A wall of tiles. `open(row)` shows one in full, `changed()` is called when `chosen`, a set of ids, has changed. */
export function grid({ t, chosen, mayChange, open, changed }) {
  const element = el("ul", { class: "tiles" });
  const rows = [], tiles = new Map(), notes = new Map(), told = new Map();

  function tile(row) {
    const note = notes.get(row.id);
    const about = [t("picture", { id: row.id.slice(0, 8) }), row.split, row.unfit, note].filter(Boolean).join(", ");
    const button = el("button", { type: "button", class: "tile", tabindex: tiles.size ? "-1" : "0", title: note ?? row.name ?? row.id, data: { id: row.id }, onclick: () => { move(row.id); open(row); } },
      picture(row.id, t), el("span", { class: "what" }, row.label ?? "–"),
      told.has(row.id) && el("span", { class: "what told", data: { right: told.get(row.id) === row.label } }, `→ ${told.get(row.id)}`),
      el("span", { class: "marks" }, row.agreement !== null && row.agreement < 1 && el("span", { class: "mark", data: { kind: "split" } }, percent(row.agreement)),
        row.duplicate_of && el("span", { class: "mark" }, "≈"), row.unfit && el("span", { class: "mark", data: { kind: "bad" } }, "!")),
      el("span", { class: "hidden-text" }, about));
    const tick = mayChange && el("input", { type: "checkbox", class: "tick-tile", tabindex: "-1", "aria-label": `${t("select")} ${row.id.slice(0, 8)}`,
      checked: chosen.has(row.id), onchange: () => choose(row.id, tick.checked) });
    const item = el("li", { data: { chosen: chosen.has(row.id) } }, button, tick);
    tiles.set(row.id, { item, button, tick, row });
    return item;
  }

  function choose(id, yes) {
    if (yes) chosen.add(id); else chosen.delete(id);
    const held = tiles.get(id);
    if (held) { held.item.dataset.chosen = yes; if (held.tick) held.tick.checked = yes; }
    changed();
  }

  function move(id) {
    for (const held of tiles.values()) held.button.tabIndex = -1;
    tiles.get(id).button.tabIndex = 0;
  }

  function go(place) {
    const row = rows[Math.max(0, Math.min(rows.length - 1, place))];
    if (!row) return null;
    move(row.id);
    tiles.get(row.id).button.focus();
    return row;
  }

  element.addEventListener("keydown", (event) => {
    const id = event.target.closest("[data-id]")?.dataset.id;
    if (!id || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = rows.findIndex((row) => row.id === id);
    const across = getComputedStyle(element).gridTemplateColumns.split(" ").length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, Home: -at, End: rows.length }[event.key];
    if (by !== undefined) go(at + by);
    else if (event.key === "x" && mayChange) choose(id, !chosen.has(id));
    else return;
    event.preventDefault();
  });

  return {
    element,
    size: () => rows.length,
    noteOf: (id) => notes.get(id),
    focus: (id) => tiles.get(id)?.button.focus(),
    add(more, said, models = {}) {
      for (const [id, note] of Object.entries(said)) notes.set(id, note);
      for (const [id, label] of Object.entries(models)) told.set(id, label);
      const fresh = more.filter((row) => !tiles.has(row.id));
      rows.push(...fresh);
      element.append(...fresh.map(tile));
    },
    clear() { rows.length = 0; tiles.clear(); notes.clear(); told.clear(); element.replaceChildren(); },
    /** Open the sample that many places behind the one with this id. */
    step(id, by) {
      const at = rows.findIndex((row) => row.id === id) + by;
      if (at < 0 || at >= rows.length) return;
      move(rows[at].id);
      tiles.get(rows[at].id).button.scrollIntoView({ block: "nearest" });
      open(rows[at]);
    },
    chooseAll(most) { for (const row of rows.slice(0, most)) choose(row.id, true); },
    unchoose() { for (const id of [...chosen]) choose(id, false); changed(); },
  };
}

export const percent = (share) => `${Math.round(100 * share)} %`;

/** The small picture of a sample; where there is none, words say so. */
export function picture(id, t, size = "small/", loading = "lazy") {
  const image = el("img", { src: `/app/pictures/${size}${id}`, alt: "", loading, decoding: "async",
    onerror: () => image.replaceWith(el("span", { class: "no-picture" }, t("no_picture"))) });
  return image;
}
