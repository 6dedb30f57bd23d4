// What a person has said and the server has not confirmed: kept in this browser, sent in order, again and again.
// Each entry has an id of its own, so that sending it twice changes nothing.

import { Offline, Refused } from "./api.js";

const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000;

export class Outbox {
  /** `post(path, body)` sends one entry; `told(answer, entry)` hears what came back, `refused(error, entry)` what the
   * server will not take, `line(kind)` how the line is ("good" or "bad"), `stop(error)` why nothing can be sent. */
  constructor(prefix, { post, told, refused, line, stop }) {
    Object.assign(this, { prefix, post, told, refused, line, stop });
    this.entries = this.left();
    this.pause = FIRST_PAUSE;
    this.running = false;
    this.ended = false;
    this.wake = () => { this.pause = FIRST_PAUSE; this.retry(); };
    addEventListener("online", this.wake);
  }

  /** What an earlier page has left, oldest first. */
  left() {
    const found = [];
    for (let i = 0; i < localStorage.length; i++) {
      const key = localStorage.key(i);
      if (!key.startsWith(this.prefix)) continue;
      try { found.push({ key, ...JSON.parse(localStorage.getItem(key)) }); } catch { localStorage.removeItem(key); }
    }
    return found.sort((one, other) => one.at - other.at);
  }

  get size() { return this.entries.length; }

  add(path, body) {
    const last = this.entries.at(-1);
    const entry = { key: this.prefix + body.id, at: Math.max(Date.now(), (last?.at ?? 0) + 1), path, body };
    localStorage.setItem(entry.key, JSON.stringify({ at: entry.at, path, body }));
    this.entries.push(entry);
    this.run();
  }

  close() {
    this.ended = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.wake);
  }

  retry() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.run();
  }

  async run() {
    if (this.running || this.ended || this.timer !== undefined) return;
    this.running = true;
    while (this.entries.length && !this.ended) {
      const entry = this.entries[0];
      try {
        const answer = await this.post(entry.path, entry.body);
        this.drop(entry);
        this.line("good");
        this.pause = FIRST_PAUSE;
        this.told(answer, entry);
      } catch (error) {
        if (error instanceof Offline || (error instanceof Refused && [408, 429, 500].includes(error.status))) {
          this.line("bad");
          this.timer = setTimeout(() => this.retry(), this.pause);
          this.pause = Math.min(LONGEST_PAUSE, 2 * this.pause);
          break;
        }
        if (!(error instanceof Refused) || [401, 403, 421].includes(error.status)) {
          this.ended = true;
          this.stop(error);
          break;
        }
        this.drop(entry);
        this.line("good");
        this.refused(error, entry);
      }
    }
    this.running = false;
  }

  drop(entry) {
    localStorage.removeItem(entry.key);
    this.entries.splice(this.entries.indexOf(entry), 1);
  }
}
