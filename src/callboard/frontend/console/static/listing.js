// Which rows a list has, in which order: search, filter and sort over thousands of them, worked out once per change.
import { compare } from './catalog.js';

/** What one can filter by: `down` is about the whole, the others are about any one instance. */
export const FILTERS = ['down', 'critical', 'warning', 'maintenance', 'draining', 'starting', 'passing'];

const words = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

/** Whether a holding is found by every word. */
export const matches = (held, wanted) => wanted.every((word) => held.haystack.includes(word));

const isIn = (held, state) => (state === 'down' ? held.state === 'down' : held.counts[state] > 0);

/** In the order they have, but worse ones first. */
function worstFirst(rows) {
  const severities = new Map(rows.map((held) => [held, held.severity]));
  return rows.sort((a, b) => severities.get(b) - severities.get(a));
}

const AIM_MS = 1500;

/** The rows that are there now in the order that those before had; new ones come last. */
function asBefore(before, rows) {
  const now = new Map(rows.map((held) => [held.key, held]));
  const kept = before.map(({ key }) => now.get(key)).filter(Boolean);
  for (const { key } of before) now.delete(key);
  return [...kept, ...now.values()];
}

export class Listing {
  constructor() {
    this.known = null;
    this.names = null;
    this.aimed = -AIM_MS; // when the pointer last moved over the rows
  }

  /** Somebody moves the pointer over the rows: for a moment, none of them moves away below it. */
  aim() {
    this.aimed = performance.now();
  }

  /** Everybody by name. To compare names takes long, so that is done only when somebody has come or gone. */
  byName(table) {
    const { names } = this;
    if (names?.table === table && names.turn === table.turn && names.all.length === table.size) return names.all;
    const all = [...table.values()].sort((a, b) => compare(a.name, b.name));
    this.names = { table, turn: table.turn, all };
    return all;
  }

  /** Rows, and how many rows there are in each state whatever the filter says. */
  of(table, version, { q, states, sort }) {
    const wish = [q, states.join(), sort].join('\n');
    const hold = this.known?.wish === wish && performance.now() - this.aimed < AIM_MS;
    const key = [version, wish, hold].join('\n');
    if (this.known?.table === table && this.known.key === key) return this.known;
    const wanted = words(q);
    const found = this.byName(table).filter((held) => matches(held, wanted));
    const numbers = Object.fromEntries(FILTERS.map((state) => [state, found.filter((held) => isIn(held, state)).length]));
    const chosen = states.length ? found.filter((held) => states.some((state) => isIn(held, state))) : found;
    const ordered = sort === 'worst' ? worstFirst(chosen) : chosen;
    const rows = hold ? asBefore(this.known.rows, ordered) : ordered;
    this.known = { table, key, wish, rows, numbers, found: found.length };
    return this.known;
  }
}

/** Which instance a search has found, when the name of its service does not say it: the first one, as text. */
export function foundBy(held, q) {
  const wanted = words(q).filter((word) => !held.key.includes(word));
  if (!wanted.length) return '';
  for (const each of held.instances.values()) {
    for (const text of [each.id, each.node, `${each.address}:${each.port}`, ...each.tags]) {
      if (wanted.some((word) => text.toLowerCase().includes(word))) return text;
    }
  }
  return '';
}

const texts = new WeakMap(); // by what an instance is found; a changed one is another object

function textOf(each) {
  let text = texts.get(each);
  if (text === undefined) {
    text = [each.service, each.id, each.node, `${each.address}:${each.port}`, each.status, each.phase, ...each.tags].join('\n').toLowerCase();
    texts.set(each, text);
  }
  return text;
}

/** The instances among `all` that are found by every word. */
export function foundAmong(all, q) {
  const wanted = words(q);
  return wanted.length ? all.filter((each) => wanted.every((word) => textOf(each).includes(word))) : all;
}
