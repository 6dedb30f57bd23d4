// Try the model that answers: a picture from this device, or the camera; nothing is kept.

import { el, fill } from "./dom.js";
import { percent } from "./wall.js";

/** Milliseconds between two pictures of the camera, at least. */
const PAUSE = 200;

export async function show(main, app) {
  const t = (name, values) => app.t(`try.${name}`, values);
  const state = { stream: null, ended: false };
  const view = el("div", { class: "stage" }), told = el("div", { class: "answer", "aria-live": "polite" });
  const file = el("input", { type: "file", accept: "image/*", id: "picture", onchange: () => file.files[0] && one(file.files[0]) });
  const camera = el("button", { type: "button", class: "plain", onclick: () => (state.stream ? stop() : start()) }, t("camera"));
  const drop = el("section", { class: "card pad drop" }, el("p", {}, el("label", { for: "picture" }, t("picture")), " ", file, " ", camera), el("p", { class: "soft" }, t("text")));
  fill(main, el("div", { class: "head" }, el("h1", {}, t("title"))), drop, el("div", { class: "two" }, view, told));
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => { event.preventDefault(); const [first] = event.dataTransfer.files; if (first) one(first); });

  async function ask(body) {
    const answer = await app.api("POST", "/app/api/try", undefined, { raw: body });
    return answer.images[0];
  }

  async function one(picture) {
    stop();
    const image = el("img", { alt: t("title"), src: URL.createObjectURL(picture) });
    fill(view, el("div", { class: "shot" }, image));
    fill(told, el("p", { role: "status" }, t("working")));
    try {
      draw(view.firstChild, told, await ask(picture), t);
    } catch (error) {
      refused(error);
    }
  }

  function refused(error) {
    if (!("kind" in error)) { app.stop(error); return; }
    fill(told, el("p", { role: "alert", class: "note-text" }, error.message, error.hint && el("span", { class: "soft hint" }, ` ${error.hint}`)));
  }

  async function start() {
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
    await video.play();
    const canvas = document.createElement("canvas");
    const mine = state.stream;
    while (state.stream === mine) {
      const began = performance.now();
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext("2d").drawImage(video, 0, 0);
      const shot = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
      try {
        const answer = await ask(shot);
        if (state.stream === mine) draw(view.firstChild, told, answer, t);
      } catch (error) {
        if (state.stream !== mine) break;
        stop();
        refused(error);
        break;
      }
      await new Promise((done) => setTimeout(done, Math.max(0, PAUSE - (performance.now() - began))));
    }
  }

  function stop() {
    for (const track of state.stream?.getTracks() ?? []) track.stop();
    state.stream = null;
    camera.textContent = t("camera");
  }

  return () => { state.ended = true; stop(); };
}

/** Boxes on the picture, and bars for each face in it. */
function draw(shot, told, image, t) {
  const [width, height] = image.size ?? [1, 1];
  for (const old of shot.querySelectorAll(".box")) old.remove();
  image.faces.forEach((face, place) => {
    if (!face.box) return;
    const { x, y, width: across, height: down } = face.box;
    shot.append(el("span", { class: "box", style: { left: `${(100 * x) / width}%`, top: `${(100 * y) / height}%`, width: `${(100 * across) / width}%`, height: `${(100 * down) / height}%` } }, image.faces.length > 1 ? String(place + 1) : ""));
  });
  if (!image.faces.length) { fill(told, el("p", { class: "card pad" }, t("no_face"), image.note && el("span", { class: "soft" }, ` ${image.note}`))); return; }
  fill(told, image.faces.map((face, place) => el("section", { class: "card pad" },
    el("h2", {}, image.faces.length > 1 && `${place + 1}: `, face.label, " ", el("span", { class: "soft" }, percent(face.confidence)), face.unsure && el("span", { class: "soft" }, ` · ${t("unsure")}`)),
    el("table", { class: "bars" }, el("tbody", {}, Object.entries(face.probs).sort((a, b) => b[1] - a[1]).map(([name, share]) => el("tr", {}, el("th", { scope: "row" }, name),
      el("td", { data: { best: name === face.label } }, el("span", { class: "bar", style: { "--share": share.toFixed(3) } }, percent(share))))))),
    face.among && el("p", {}, t("among", { names: face.among.join(", ") })), face.note && el("p", { class: "note-text" }, face.note))));
}
