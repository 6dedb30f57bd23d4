// Try the model that answers: a picture or a video from this device, or the camera. Nothing is kept before somebody says so.

import { el, fill } from "./dom.js";
import { drawBoxes, drawFaces } from "./try/faces.js";
import { isFilm, watch } from "./try/film.js";
import { lookButton } from "./try/looked.js";
import { showSentences } from "./try/sentence.js";
import { uuid, wrongButton } from "./try/wrong.js";

/** Milliseconds between two pictures of the camera, at least. */
const PAUSE = 200;

export async function show(main, app) {
  const t = (name, values) => app.t(`try.${name}`, values);
  const words = await classWords(app);
  const name = (label) => words.get(label) ?? label;
  if (!app.me.pictures) return showSentences(main, app, t, name);
  const may = app.me.role === "owner";
  const state = { stream: null, ended: false, last: null, turn: 0, close: null };
  const view = el("div", { class: "stage" }), told = el("div", { class: "answer" });
  const file = el("input", { type: "file", accept: "image/*,video/*", id: "picture", onchange: () => file.files[0] && one(file.files[0]) });
  const camera = el("button", { type: "button", class: "plain", onclick: () => (state.stream ? freeze() : start()) }, t("camera"));
  const drop = el("section", { class: "card pad drop" }, el("p", {}, el("label", { for: "picture" }, t("picture")), " ", file, " ", camera), el("p", { class: "soft" }, t(may ? "text" : "text_reader")));
  fill(main, el("div", { class: "head" }, el("h1", {}, t("title"))), drop, el("div", { class: "two" }, view, told));
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => { event.preventDefault(); const [first] = event.dataTransfer.files; if (first) one(first); });

  const ask = (picture) => app.api("POST", "/app/api/try", undefined, { raw: picture });

  async function one(chosen) {
    stop();
    const mine = ++state.turn;
    try {
      if (isFilm(chosen)) await film(chosen, () => state.turn === mine && !state.ended);
      else await single(chosen);
    } catch (error) {
      if (state.turn === mine && !state.ended) refused(error);
    }
  }

  async function single(picture) {
    const shot = await still(picture);
    if (!shot.isConnected) return;
    say(el("p", { role: "status" }, t("working")));
    const answer = await ask(picture);
    if (shot.isConnected) answered(shot, answer, { picture, title: picture.name, sitting: null });
  }

  async function film(chosen, goesOn) {
    fill(view);
    say(el("p", { role: "status" }, t("working")));
    const close = await watch(chosen, { app, t, name, view, told, ask, still, answered, refused, goesOn });
    if (goesOn()) state.close = close;
    else close();
  }

  /** Put a picture on a stage, or a line where the browser cannot show it; an answer may come all the same. */
  async function still(picture, stage = view) {
    const image = el("img", { alt: t("title"), src: URL.createObjectURL(picture) });
    const shot = el("div", { class: "shot" }, image);
    fill(stage, shot);
    const shown = await image.decode().then(() => true, () => false);
    URL.revokeObjectURL(image.src);
    if (!shown) fill(shot, el("p", { class: "soft pad" }, t("no_picture")));
    return shot;
  }

  /** Show what was said of a picture that stands still, with what can be done about it. */
  function answered(shot, answer, source) {
    const image = answer.images[0];
    const shown = shot.querySelector("img") !== null;
    if (shown) drawBoxes(shot, image);
    told.setAttribute("aria-live", "polite");
    drawFaces(told, image, answer.coverage, { t, name, acts: (face, place) => {
      const [look, legend] = shown ? lookButton({ app, t, name, shot, picture: source.picture, place, refused }) : [];
      const given = { ...source, face, place, label: face.label };
      const [wrong, kept] = may ? wrongButton({ app, t, name, choices: [...words], given }) : [];
      return [el("p", { class: "acts" }, ...[look, wrong].filter(Boolean)), legend, kept];
    } });
  }

  function say(...children) {
    told.setAttribute("aria-live", "polite");
    fill(told, ...children);
  }

  function refused(error) {
    if (!("kind" in error)) { app.stop(error); return; }
    const line = el("p", { role: "alert", class: "note-text" }, error.message, error.hint && el("span", { class: "soft hint" }, ` ${error.hint}`));
    if (told.querySelector(".face-card")) { for (const old of told.querySelectorAll("[role=alert]")) old.remove(); told.prepend(line); } else fill(told, line);
  }

  async function start() {
    stop();
    const video = el("video", { muted: true, playsinline: true });
    try {
      state.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 640 } } });
    } catch (error) {
      fill(told, el("p", { role: "alert", class: "note-text" }, t("no_camera", { why: error.name })));
      return;
    }
    if (state.ended) { stop(); return; }
    camera.textContent = t("stop");
    video.srcObject = state.stream;
    fill(view, el("div", { class: "shot" }, video));
    fill(told);
    told.removeAttribute("aria-live"); // several answers a second are nothing to be read out
    await video.play();
    const canvas = document.createElement("canvas");
    const [mine, sitting] = [state.stream, uuid()];
    while (state.stream === mine) {
      const began = performance.now();
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext("2d").drawImage(video, 0, 0);
      const picture = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      try {
        const answer = await ask(picture);
        if (state.stream === mine) {
          state.last = { answer, source: { picture, title: `camera ${new Date().toISOString()}`, sitting } };
          drawBoxes(view.firstChild, answer.images[0]);
          drawFaces(told, answer.images[0], answer.coverage, { t, name });
        }
      } catch (error) {
        if (state.stream !== mine) break;
        stop();
        refused(error);
        break;
      }
      await new Promise((done) => setTimeout(done, Math.max(0, PAUSE - (performance.now() - began))));
    }
  }

  /** Stop the camera; the last picture that was answered stays. */
  async function freeze() {
    halt();
    if (!state.last) { fill(view); return; }
    const { answer, source } = state.last;
    const shot = await still(source.picture);
    if (shot.isConnected) answered(shot, answer, source);
  }

  function stop() {
    state.turn += 1;
    state.close?.();
    [state.last, state.close] = [null, null];
    halt();
  }

  function halt() {
    for (const track of state.stream?.getTracks() ?? []) track.stop();
    state.stream = null;
    camera.textContent = t("camera");
  }

  return () => { state.ended = true; stop(); };
}

/** What the project's classes are called in the language of the pages; labels themselves where nothing is known. */
async function classWords(app) {
  const form = await app.api("GET", `/app/api/vote/form?language=${app.language}`);
  return new Map(form.buttons.map((button) => [button.label, button.text]));
}
