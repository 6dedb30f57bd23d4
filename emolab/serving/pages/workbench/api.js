// Requests to the server. A session that a restart ended is entered again, once, by the token of this tab.

const TOKEN = "emolab-token";

/** What the server refused: status, kind for programs, message and hint for people. */
export class Refused extends Error {
  constructor(status, told) {
    super(told.message);
    this.status = status;
    this.kind = told.kind;
    this.hint = told.hint;
  }
}

/** No answer came: the line or the server is gone. */
export class Offline extends Error {}

/** Take the token out of the address, where it would stay in the history, and keep it for this tab. */
export function takeToken() {
  const token = location.hash.slice(1);
  if (!token.startsWith("emolab_p_")) return;
  sessionStorage.setItem(TOKEN, token);
  history.replaceState(null, "", location.pathname);
}

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;
export const forgetToken = () => sessionStorage.removeItem(TOKEN);

/** Change this tab's token into a session. */
export async function enter() {
  return await ask("POST", "/app/session", { token: sessionStorage.getItem(TOKEN) });
}

/** JSON in (or the bytes of options.raw), JSON out; `path` begins with /app. */
export async function api(method, path, body, options = {}) {
  try {
    return await ask(method, path, body, options);
  } catch (error) {
    if (!(error instanceof Refused) || error.kind !== "session_missing" || !hasToken()) throw error;
    await enter();
    return await ask(method, path, body, options);
  }
}

async function ask(method, path, body, { signal, keepalive, raw } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method, signal, keepalive, credentials: "same-origin", redirect: "error",
      headers: raw ? { "content-type": "application/octet-stream" } : body === undefined ? {} : { "content-type": "application/json" },
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Offline("no answer");
  }
  let told;
  try {
    told = await response.json();
  } catch {
    if (response.status >= 500 || response.ok) throw new Offline("no whole answer");
    told = null;
  }
  if (!response.ok) {
    if ([502, 503, 504].includes(response.status)) throw new Offline("no answer for now");
    throw new Refused(response.status, told?.error ?? { kind: "unknown", message: String(response.status) });
  }
  return told;
}
