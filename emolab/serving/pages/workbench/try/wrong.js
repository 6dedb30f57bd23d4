// "This is wrong": whoever may keeps the face, with what it shows, as a vote; until then nothing was stored.

import { Offline } from "../api.js";
import { el } from "../dom.js";

/**
 * What an owner may say about one face. `given` is { picture, title, sitting, face, place, label } of what is shown,
 * `choices` pairs of a label and its text.
 */
export function wrongButton({ app, t, name, choices, given }) {
  const line = el("div", { class: "kept", role: "status" });
  const button = el("button", { type: "button", class: "plain", onclick: () => ask() }, t("wrong"));
  let kept = null; // { id, label } of what counts

  async function ask() {
    const said = await choose({ app, t, name, choices, given, before: kept?.label });
    if (said) { kept = said; tell(); }
    button.focus();
  }

  function tell() {
    button.textContent = t(kept ? "change" : "wrong");
    if (!kept) { line.textContent = t("taken_back"); return; }
    line.replaceChildren(el("span", {}, t("kept", { name: name(kept.label) })), " ",
      el("button", { type: "button", class: "plain", onclick: takeBack }, t("take_back")), " ",
      el("a", { href: "#/data?source=tryout" }, t("kept_ones")));
  }

  async function takeBack(event) {
    event.target.disabled = true;
    try {
      await app.api("POST", "/app/api/try/wrong/undo", { answer: kept.id });
      kept = null;
      tell();
      button.focus();
    } catch (error) {
      event.target.disabled = false;
      line.append(el("p", { role: "alert", class: "note-text" }, problem(error, t)));
    }
  }

  return [button, line];
}

/** Ask what is right and store it; { id, label } once the server has said that it did, null where nothing was sent. */
function choose({ app, t, name, choices, given, before }) {
  return new Promise((done) => {
    const id = crypto.randomUUID?.() ?? uuid(); // one deed, one id, however often it is sent
    let sent = null, ended = null;
    const radios = choices.filter(([label]) => label !== given.label).map(([label, text]) => el("label", { class: "choice" },
      el("input", { type: "radio", name: "right", value: label, required: true, checked: label === before }), el("span", {}, text)));
    const agreed = el("input", { type: "checkbox" });
    const alert = el("p", { role: "alert", class: "note-text", hidden: true });
    const store = el("button", { type: "submit" }, t("keep"));
    const cancel = el("button", { type: "button", class: "plain", onclick: () => box.close() }, t("cancel"));
    const form = el("form", { method: "dialog", onsubmit: submit },
      el("h2", {}, t("what_is_right", { name: name(given.label) })),
      el("fieldset", { class: "choices-right" }, el("legend", { class: "hidden-text" }, t("what_is_right", { name: name(given.label) })), radios),
      el("p", { class: "note-text" }, t("keep_text", { name: app.me.name })),
      el("label", { class: "tick" }, agreed, el("span", {}, t("agreed"))), alert,
      el("p", { class: "answers" }, store, cancel));
    const box = el("dialog", { class: "card ask wrong", "aria-label": t("wrong"), onclose: () => { box.remove(); done(ended); } }, form);

    async function submit(event) {
      event.preventDefault();
      if (store.disabled) return;
      const label = new FormData(form).get("right");
      sent ??= { label, agreed: agreed.checked };
      store.disabled = cancel.disabled = true;
      for (const input of form.querySelectorAll("input")) input.disabled = true;
      alert.hidden = true;
      try {
        await app.api("POST", "/app/api/try/wrong", { ...(await told(given)), id, label: sent.label, agreed: sent.agreed });
        ended = { id, label: sent.label };
        box.close();
      } catch (error) {
        const lost = error instanceof Offline; // it may be stored: only the same may be sent again
        alert.textContent = lost ? t("lost") : problem(error, t);
        alert.hidden = store.disabled = false;
        store.textContent = t(lost ? "send_again" : "keep");
        if (!lost) { sent = null; cancel.disabled = false; for (const input of form.querySelectorAll("input")) input.disabled = false; }
        store.focus();
      }
    }

    box.addEventListener("cancel", (event) => { if (cancel.disabled) event.preventDefault(); });
    document.body.append(box);
    box.showModal();
  });
}

async function told({ picture, title, sitting, face, place, label }) {
  const box = face.box ? [face.box.x, face.box.y, face.box.width, face.box.height] : null;
  return { images: [{ b64: await base64(picture), name: title }], face: place + 1, box, shown: label, sitting };
}

function base64(picture) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(picture);
  });
}

/** A random UUID also where the page came without TLS. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function problem(error, t) {
  return "kind" in error ? [error.message, error.hint].filter(Boolean).join(" ") : error instanceof Offline ? t("lost") : String(error.message ?? error);
}
