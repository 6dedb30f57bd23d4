"use strict";
// The camera's frames go out over a WebSocket, one or two at a time; what comes back is drawn. Nothing is kept.
(() => {
  const $ = (id) => document.getElementById(id);
  const video = $("video"), overlay = $("overlay"), shot = document.createElement("canvas");
  const COLOURS = ["#40c4ff", "#ffb74d", "#aed581", "#f48fb1", "#b39ddb", "#4dd0e1", "#fff176", "#ff8a65"];
  const WIDTH = 640, QUALITY = 0.8, IN_FLIGHT = 2, SHOWN = 5, GIVE_UP_MS = 2000;
  const FINAL = { 4401: 1, 4403: 1, 4429: 1, 4500: 1 };  // not worth trying again without the person

  const state = {
    key: new URLSearchParams(location.hash.slice(1)).get("token") || sessionStorage.getItem("key"),
    agreed: false, running: false, socket: null, number: 0, sent: new Map(), busy: false, tries: 0, facing: "user",
    again: 0, classes: [],
  };
  if (location.hash) history.replaceState(null, "", location.pathname);  // the token does not stay in the address

  function say(kind, text) { $("state").dataset.kind = kind; $("state").textContent = text; }

  function connect() {
    clearTimeout(state.again);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/frames`);
    socket.binaryType = "arraybuffer";
    state.socket = socket;
    state.sent.clear();
    say("wait", "connecting");
    socket.onopen = () => socket.send(JSON.stringify({ token: state.key, consent: state.agreed }));
    socket.onmessage = (event) => { if (socket === state.socket) heard(JSON.parse(event.data)); };
    socket.onclose = (event) => { if (socket === state.socket) closed(event); };
  }

  function closed(event) {
    state.socket = null;
    show([], null);
    if (event.code === 4412) return;  // the consent is on the screen
    if (FINAL[event.code]) { say("bad", event.reason || "this page may not connect"); return; }
    const seconds = Math.min(8, 0.5 * 2 ** state.tries++);
    say("bad", `connection lost, trying again in ${seconds} s`);
    state.again = setTimeout(connect, 1000 * seconds);
  }

  function heard(told) {
    if (told.key) { state.key = told.key; sessionStorage.setItem("key", told.key); }
    if (told.refused) {
      if (told.consent) ask(told.consent);
      return;
    }
    if (told.classes) {
      state.tries = 0;
      state.classes = told.classes;
      $("model").textContent = told.model_name || told.model.slice(0, 10);
      $("model").title = told.model;
      say("good", state.running ? "live" : "ready");
      if (!state.running) ask(null);
      return;
    }
    if (told.number === undefined) return;
    const taken = state.sent.get(told.number);
    for (const number of state.sent.keys()) if (number <= told.number) state.sent.delete(number);
    if (told.error) { say("bad", told.error); return; }
    $("late").textContent = told.late.toLocaleString("en");
    if (told.too_old) return;  // a newer one comes
    say("good", "live");
    $("fps").textContent = told.fps.toFixed(1);
    if (taken !== undefined) number("age", performance.now() - taken);
    number("server-age", told.age_ms);
    $("dropped").textContent = told.dropped.toLocaleString("en");
    document.body.dataset.answers = String(Number(document.body.dataset.answers || 0) + 1);
    show(told.faces, told.size);
  }

  function number(id, ms) {
    const small = document.createElement("small");
    small.textContent = " ms";
    $(id).replaceChildren(String(Math.round(ms)), small);
  }

  // -- before the camera opens

  function ask(consent) {
    $("ask").hidden = false;
    $("consent").hidden = !consent;
    $("consent").textContent = consent || "";
    $("kept").hidden = !consent;
    $("ask-note").textContent = consent
      ? "Some pictures are kept so that people can vote on them. Press the button only if everybody in front of the " +
        "camera agrees."
      : "Pictures go to the computer that runs emolab, are looked at there, and are not kept.";
    $("agree").textContent = consent ? "I agree, open the camera" : "Open the camera";
    say("wait", "waiting for you");
    $("agree").onclick = () => { state.agreed = true; $("ask").hidden = true; start(Boolean(consent)); };
  }

  async function start(reconnect) {
    if (!navigator.mediaDevices) {
      say("bad", "the browser gives its camera to https:// and to this computer only; see --tls");
      return;
    }
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: state.facing };
      const stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      stop();
      video.srcObject = stream;
      await video.play();
    } catch (error) {
      say("bad", error.name === "NotAllowedError" ? "the camera was not allowed" : `no camera: ${error.message}`);
      $("ask").hidden = false;
      return;
    }
    state.running = true;
    $("empty").hidden = true;
    $("stop").hidden = $("switch").hidden = false;
    if (reconnect || !state.socket) connect();
    next();
  }

  function stop() {
    state.running = false;
    if (video.srcObject) for (const track of video.srcObject.getTracks()) track.stop();
    video.srcObject = null;
    $("empty").hidden = false;
    show([], null);
  }

  // -- frames out

  function next() {
    if (!state.running) return;
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(frame);
    else requestAnimationFrame(frame);
  }

  function frame() {
    next();
    const socket = state.socket, now = performance.now();
    for (const [number, at] of state.sent) if (now - at > GIVE_UP_MS) state.sent.delete(number);
    const ready = socket && socket.readyState === WebSocket.OPEN && state.classes.length && video.videoWidth;
    if (!ready || state.busy || state.sent.size >= IN_FLIGHT || socket.bufferedAmount > 200000) return;
    state.busy = true;
    const scale = Math.min(1, WIDTH / Math.max(video.videoWidth, video.videoHeight));
    shot.width = Math.round(video.videoWidth * scale);
    shot.height = Math.round(video.videoHeight * scale);
    shot.getContext("2d").drawImage(video, 0, 0, shot.width, shot.height);
    shot.toBlob(async (blob) => {
      try {
        if (!blob || socket !== state.socket || socket.readyState !== WebSocket.OPEN) return;
        const head = new DataView(new ArrayBuffer(12));
        state.number = (state.number + 1) >>> 0;
        head.setUint32(0, state.number);
        head.setBigUint64(4, BigInt(Math.round(now)));
        state.sent.set(state.number, now);
        socket.send(new Blob([head.buffer, blob]));
      } finally { state.busy = false; }
    }, "image/jpeg", QUALITY);
  }

  // -- answers in

  function show(faces, size) {
    draw(faces, size);
    $("nobody").hidden = faces.length > 0 || !state.running;
    const cards = new Map([...$("faces").children].map((card) => [Number(card.dataset.track), card]));
    for (const face of faces) {
      const card = cards.get(face.track) || made(face.track);
      cards.delete(face.track);
      fill(card, face);
    }
    for (const card of cards.values()) card.remove();
  }

  function made(track) {
    const card = document.createElement("section");
    card.className = "card face";
    card.dataset.track = track;
    const title = document.createElement("h2"), dot = document.createElement("i");
    dot.style.background = COLOURS[track % COLOURS.length];
    title.append(dot, `Face ${track}`);
    card.append(title);
    for (let i = 0; i < Math.min(SHOWN, state.classes.length); i++) {
      const row = document.createElement("div"), bar = document.createElement("div");
      row.className = i ? "row" : "row first";
      bar.className = "bar";
      bar.append(document.createElement("i"));
      bar.firstChild.style.background = COLOURS[track % COLOURS.length];
      row.append(document.createElement("span"), bar, document.createElement("b"));
      card.append(row);
    }
    $("faces").append(card);
    return card;
  }

  function fill(card, face) {
    const ranked = Object.entries(face.smoothed || {}).sort((a, b) => b[1] - a[1]);
    card.querySelectorAll(".row").forEach((row, i) => {
      const [name, share] = ranked[i] || ["", 0];
      row.children[0].textContent = name;
      row.children[1].firstChild.style.width = `${100 * share}%`;
      row.children[2].textContent = name ? `${Math.round(100 * share)} %` : "";
    });
  }

  function draw(faces, size) {
    const ratio = window.devicePixelRatio || 1, width = overlay.clientWidth, height = overlay.clientHeight;
    if (overlay.width !== Math.round(width * ratio) || overlay.height !== Math.round(height * ratio)) {
      overlay.width = Math.round(width * ratio);
      overlay.height = Math.round(height * ratio);
    }
    const pen = overlay.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!size) return;
    const scale = Math.min(width / size[0], height / size[1]);
    const left = (width - size[0] * scale) / 2, top = (height - size[1] * scale) / 2;
    pen.font = "600 15px system-ui, sans-serif";
    pen.textBaseline = "middle";
    for (const face of faces) {
      const colour = COLOURS[face.track % COLOURS.length], [x, y, w, h] = face.box;
      const begin = $("mirror").checked ? size[0] - x - w : x;
      const px = left + begin * scale, py = top + y * scale;
      pen.strokeStyle = colour;
      pen.lineWidth = 3;
      pen.beginPath();
      pen.roundRect(px, py, w * scale, h * scale, 8);
      pen.stroke();
      const share = face.label ? face.smoothed[face.label] : 0;
      const words = face.label ? `${face.label} ${Math.round(100 * share)} %` : "…";
      const wide = pen.measureText(words).width + 18, above = py >= 30 ? py - 30 : py + h * scale + 4;
      pen.fillStyle = colour;
      pen.beginPath();
      pen.roundRect(px, above, wide, 26, 7);
      pen.fill();
      pen.fillStyle = "#10141c";
      pen.fillText(words, px + 9, above + 14);
    }
  }

  $("mirror").onchange = () => document.querySelector(".stage").classList.toggle("mirrored", $("mirror").checked);
  $("mirror").onchange();
  $("stop").onclick = () => { stop(); $("stop").hidden = $("switch").hidden = true; ask(null); };
  $("switch").onclick = () => { state.facing = state.facing === "user" ? "environment" : "user"; start(false); };
  connect();
})();
