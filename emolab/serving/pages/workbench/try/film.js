// A video, moment by moment: the browser takes the pictures, so the file stays on the device.

import { Offline } from "../api.js";
import { el, fill } from "../dom.js";
import { drawBoxes, drawFaces } from "./faces.js";
import { timeline } from "./timeline.js";
import { uuid } from "./wrong.js";

/** Seconds of a video that are looked at, and up to which four pictures a second are taken instead of two. */
const MOST = 600, SHORT = 60;
/** Milliseconds for one jump in it, tries while the server has no room, and pixels of a picture's longer side. */
const PATIENCE = 15000, TRIES = 5, SIDE = 1280;

const ENDING = /\.(mp4|m4v|mov|mkv|webm|avi|mpe?g|ts|wmv|3gp|ogv)$/i;
export const isFilm = (file) => file.type.startsWith("video/") || (!file.type.startsWith("image/") && ENDING.test(file.name));

class Broken extends Error {}

/** Look at `file`, and give what closes it; ends early once `page.goesOn()` is false. `page` has app, t, name, view, told, ask, still, answered. */
export async function watch(file, page) {
  const { t } = page;
  const video = el("video", { muted: true, playsinline: true, preload: "auto" });
  video.muted = true;
  const address = URL.createObjectURL(file);
  const close = () => { video.removeAttribute("src"); video.load(); URL.revokeObjectURL(address); };
  try {
    const length = await opened(video, address);
    const why = !video.videoWidth ? t("film_no_picture") : length > MOST ? t("film_too_long", { minutes: Math.ceil(length / 60), most: MOST / 60, file: file.name }) : null;
    if (why) page.refused({ kind: "film", message: why });
    else if (page.goesOn()) await show(video, length, file, page);
  } catch (error) {
    if (!(error instanceof Broken)) { close(); throw error; }
    if (page.goesOn()) page.refused({ kind: "film", message: t("film_unreadable", { file: file.name }) });
  }
  return close;
}

async function show(video, length, file, page) {
  const { t, view, told } = page;
  const shot = el("div", { class: "shot" }, video), under = el("div", { class: "film" });
  const said = el("p", { role: "status", class: "soft" }), bar = el("progress", { max: length, value: 0, "aria-label": t("working") });
  const stop = el("button", { type: "button", class: "plain" }, t("film_stop"));
  const state = { stopped: false };
  stop.onclick = () => { state.stopped = true; stop.disabled = true; };
  fill(view, shot, el("div", { class: "film-going" }, bar, stop), said, under);
  fill(told);
  told.removeAttribute("aria-live");
  const step = length <= SHORT ? 0.25 : 0.5, moments = [];
  let broken = null;
  for (let at = 0; at < length && !state.stopped; at += step) {
    said.textContent = t("film_looking", { at: clock(at), end: clock(length) });
    let picture;
    try {
      picture = await frame(video, at);
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      broken = at;
      break;
    }
    const answer = await patiently(() => page.ask(picture), page);
    if (!page.goesOn()) return;
    moments.push({ at, image: answer.images[0] });
    bar.value = Math.min(length, at + step);
    drawBoxes(shot, answer.images[0]);
    drawFaces(told, answer.images[0], answer.coverage, page);
    if (moments.length % 8 === 0) fill(under, timeline({ moments, length, step, ...page }).element);
  }
  if (broken !== null && !moments.length) throw new Broken();
  if (moments.length) finished({ video, length, step, file, moments, broken }, page);
  else fill(view);
}

/** The whole time under the picture; any moment of it can be chosen, and then looked into. */
function finished({ video, length, step, file, moments, broken }, page) {
  const { t, view, name } = page;
  const sitting = uuid();
  const stage = el("div", { class: "stage" });
  const slider = el("input", { type: "range", min: 0, max: moments.length - 1, step: 1, value: 0, class: "moment", "aria-label": t("film_moment") });
  const now = el("output", { class: "soft" });
  const lines = timeline({ moments, length, step, choose: (place) => { slider.value = place; go(); }, ...page });
  fill(view, stage, el("div", { class: "film-going" }, slider, now),
    broken !== null && el("p", { role: "alert", class: "note-text" }, t("film_broken", { at: clock(broken) })),
    lines.faces ? lines.element : el("p", { class: "card pad" }, t("film_nobody")));
  let turn = 0, busy = Promise.resolve();

  function tell() {
    const { at, image } = moments[Number(slider.value)];
    now.textContent = clock(at, true);
    slider.setAttribute("aria-valuetext", [clock(at, true), ...image.faces.map((face) => name(face.label))].join(", "));
    lines.mark(at);
  }

  function go() {
    tell();
    const mine = ++turn;
    busy = busy.then(() => (mine === turn ? shown(mine) : null)).catch(page.refused);
  }

  /** The moment again, as a picture that stands still: what is said about it is about exactly these pixels. */
  async function shown(mine) {
    if (!page.goesOn()) return;
    const { at } = moments[Number(slider.value)];
    const picture = await frame(video, at);
    const answer = await patiently(() => page.ask(picture), page);
    if (mine !== turn || !page.goesOn()) return;
    const shot = await page.still(picture, stage);
    stage.dataset.at = at;
    page.answered(shot, answer, { picture, title: `${file.name}@${at.toFixed(2)}s`, sitting });
  }

  slider.oninput = go;
  slider.value = Math.max(0, moments.findIndex(({ image }) => image.faces.length));
  go();
}

/** Open the file; its length in seconds. A recording that does not state it is asked for its end. */
async function opened(video, address) {
  video.src = address;
  await event(video, "loadedmetadata");
  if (!video.videoWidth) return 0;
  if (!Number.isFinite(video.duration)) {
    video.currentTime = 1e7;
    await event(video, "seeked");
  }
  const length = Number.isFinite(video.duration) ? video.duration : video.currentTime;
  if (!(length > 0)) throw new Broken();
  return length;
}

/** The picture of a moment, as a JPEG. */
async function frame(video, at) {
  if (video.error) throw new Broken();
  const there = event(video, "seeked");
  video.currentTime = Math.min(at + 0.001, Math.max(0, video.duration - 0.001) || at);
  await there;
  if (video.readyState < 2) await event(video, "canplay");
  await new Promise((done) => setTimeout(done)); // what the browser knows of the end is set after the event
  if (video.ended && at < video.duration - 1) throw new Broken(); // it ends before its time: cut off
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  const canvas = el("canvas", { width: Math.round(video.videoWidth * scale), height: Math.round(video.videoHeight * scale) });
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return await new Promise((done, failed) => canvas.toBlob((picture) => (picture ? done(picture) : failed(new Broken())), "image/jpeg", 0.9));
}

/** Wait for an event of the video. Rejects where the file is damaged, or nothing comes for long. */
function event(video, kind) {
  return new Promise((done, failed) => {
    const end = (act) => { clearTimeout(timer); video.removeEventListener(kind, good); video.removeEventListener("error", bad); act(); };
    const good = () => end(done), bad = () => end(() => failed(new Broken()));
    const timer = setTimeout(bad, PATIENCE);
    video.addEventListener(kind, good);
    video.addEventListener("error", bad);
  });
}

/** Ask again for a while where the server has no room at the moment. */
async function patiently(ask, page) {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Offline) || left <= 1 || !page.goesOn()) throw error;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

export function clock(seconds, fine = false) {
  const whole = Math.floor(seconds + 1e-6);
  const text = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  return fine ? `${text}.${Math.floor((seconds - whole + 1e-6) * 100).toString().padStart(2, "0")}` : text;
}
