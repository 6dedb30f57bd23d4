// Why a face was chosen: sentences that are stored in English, told in the language of the pages.

let english = null;

/** Fetch the English sentences that reasons are recognised by; once. */
export async function knowReasons() {
  if (english) return;
  const words = await (await fetch("/app/static/words/look/en.json")).json();
  english = Object.entries(words.reasons).map(([key, text]) => [key, pattern(text)]);
}

/** The reason in the language of the pages, where it is one of the sentences that are known; else as it is stored. */
export function reasonIn(app, stored) {
  const told = app.language === "en" ? stored : translated(stored, app.words.reasons);
  return told === null ? { text: stored, lang: "en" } : { text: told, lang: app.language };
}

/** A sentence with {names} as a pattern with groups of these names. */
function pattern(text) {
  const escaped = text.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`, "u");
}

/** {reason} is a sentence of its own, {reasons} are several; all else is a name or a number. Null: not known. */
function translated(stored, words) {
  for (const [key, known] of english) {
    const groups = known.exec(stored)?.groups;
    if (groups === undefined && !known.test(stored)) continue;
    const parts = { ...groups };
    if ("reason" in parts) parts.reason = translated(parts.reason, words);
    if ("reasons" in parts) {
      const each = parts.reasons.split(", ").map((one) => translated(one, words));
      parts.reasons = each.includes(null) ? null : each.join(", ");
    }
    if (Object.values(parts).includes(null)) continue;
    return words[key].replace(/\{(\w+)\}/g, (whole, name) => parts[name] ?? whole);
  }
  return null;
}
