// The way to the server: the stream of changes, held open, and a short question every few seconds by which a dead link is found out.
// It reconnects for as long as the page is open, and resumes where it was; what it knows of itself is in `state`.
import { config } from './config.js';
import { SseParser } from './sse.js';

const SLICE_MS = 12; // of reading in one go; then the page may paint
const RETRY_MS = 1000; // until the server says otherwise

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Link {
  /** `begin` is told whether a stream resumes, `hear` each event, `changed` that the state is another one, `answered` the server's status. */
  constructor(namespace, { hear, begin, changed, answered }) {
    Object.assign(this, { namespace, hear, begin, changed, answered });
    this.state = 'connecting'; // connecting, live, cut, asleep
    this.since = Date.now(); // when it was heard last
    this.reason = '';
    this.lastId = '';
    this.retryMs = RETRY_MS;
    this.attempt = 0;
    this.wake = () => {};
    this.abort = new AbortController();
  }

  open() {
    this.run();
    this.watchStatus();
    document.addEventListener('visibilitychange', () => this.seen());
    window.addEventListener('online', () => this.retry());
  }

  /** Try again now, and not when the pause is over. */
  retry() {
    this.wake();
  }

  become(state, reason = '') {
    this.state = state;
    this.reason = reason;
    this.changed();
  }

  async run() {
    for (;;) {
      try {
        await this.stream();
        this.lost('the server ended the stream');
      } catch (error) {
        this.lost(error instanceof Refused ? error.message : 'no connection to the server');
      }
      await this.patience();
    }
  }

  lost(reason) {
    if (this.state !== 'asleep') this.become('cut', reason);
  }

  /** Wait before the next attempt: longer each time, not at all when somebody comes back to the page. */
  async patience() {
    const ms = Math.min(config.retry_max_ms, this.retryMs * 2 ** Math.min(this.attempt, 10)) * (0.75 + Math.random() / 2);
    this.attempt += 1;
    const woken = new Promise((done) => (this.wake = done));
    await Promise.race([woken, pause(ms)]);
    while (this.state === 'asleep') await new Promise((done) => (this.wake = done));
  }

  async stream() {
    this.abort = new AbortController();
    const headers = this.lastId ? { 'Last-Event-ID': this.lastId } : {};
    const url = `/api/v1/watch?namespace=${encodeURIComponent(this.namespace)}`;
    const answer = await fetch(url, { headers, cache: 'no-store', signal: this.abort.signal });
    if (!answer.ok) throw new Refused(answer.status);
    this.begin(Boolean(this.lastId));
    try {
      await this.read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } finally {
      this.abort.abort(); // also a stream that told something broken: it would stay open, and a browser has six connections
    }
  }

  async read(reader) {
    const parser = new SseParser();
    let slice = performance.now();
    for (;;) {
      const silent = setTimeout(() => this.abort.abort(), config.silent_max_ms);
      const { value, done } = await reader.read().finally(() => clearTimeout(silent));
      if (done) return;
      this.since = Date.now();
      for (const told of parser.feed(value)) {
        this.heard(told);
        if (performance.now() - slice > SLICE_MS) {
          await pause(0);
          slice = performance.now();
        }
      }
    }
  }

  heard({ event, data, id, retryMs }) {
    if (retryMs) this.retryMs = retryMs;
    if (event) this.hear(event, JSON.parse(data));
    if (id) this.lastId = id;
    if (event === 'ready') {
      this.attempt = 0;
      this.become('live');
    }
  }

  /** A status that does not come, while the stream is silent too: the link is cut, though nobody has said so. */
  async watchStatus() {
    for (;;) {
      if (document.visibilityState === 'visible') await this.askStatus();
      await pause(config.status_every_ms);
    }
  }

  async askStatus() {
    try {
      const answer = await fetch('/api/v1/status', { cache: 'no-store', signal: AbortSignal.timeout(config.status_time_max_ms) });
      if (!answer.ok) throw new Refused(answer.status);
      const status = await answer.json();
      if (this.state === 'live') this.since = Date.now();
      this.answered(status, Date.parse(answer.headers.get('date')));
      if (this.state === 'cut') this.retry();
    } catch {
      if (this.state === 'live' && Date.now() - this.since > config.status_time_max_ms) {
        this.lost('the server does not answer');
        this.abort.abort();
      }
    }
  }

  /** A page that is not looked at for long gives its connection back. */
  seen() {
    clearTimeout(this.hiding);
    if (document.visibilityState === 'hidden') {
      this.hiding = setTimeout(() => {
        this.become('asleep');
        this.abort.abort();
      }, config.hidden_max_ms);
    } else if (this.state === 'asleep') {
      this.become('connecting');
      this.retry();
    }
  }
}

class Refused extends Error {
  constructor(status) {
    super(status === 503 ? 'the server is not ready' : status === 429 ? 'too many watch already' : `the server answers ${status}`);
  }
}
