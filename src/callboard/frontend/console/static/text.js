// Numbers, times and commands as people read them. No state.
const units = [[86_400_000, 'd'], [3_600_000, 'h'], [60_000, 'min'], [1000, 's']];

/** A length of time in one or two units: `4 min`, `2 h 5 min`. */
export function span(ms) {
  if (ms < 1000) return ms > 0 ? `${Math.round(ms)} ms` : '0 s';
  const at = units.findIndex(([size]) => ms >= size);
  const [size, unit] = units[at];
  const rest = units[at + 1];
  const second = rest && at < 2 ? Math.floor((ms % size) / rest[0]) : 0;
  return `${Math.floor(ms / size)} ${unit}${second ? ` ${second} ${rest[1]}` : ''}`;
}

/** How long ago. */
export const ago = (thenMs, nowMs) => (nowMs - thenMs < 1000 ? 'just now' : `${span(nowMs - thenMs)} ago`);

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
export const date = (ms) => clock.format(ms);
const short = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
export const time = (ms) => short.format(ms);

const numbers = new Intl.NumberFormat('en');
export const number = (value) => numbers.format(value);
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** How many of them: all, or so many. */
export const share = (shown, total, one) => (shown === total ? count(total, one) : `${number(shown)} of ${count(total, one)}`);

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
export function bytes(size) {
  const at = Math.min(BYTES.length - 1, size > 0 ? Math.floor(Math.log2(size) / 10) : 0);
  return `${(size / 2 ** (10 * at)).toFixed(at ? 1 : 0)} ${BYTES[at]}`;
}

/** A word for a shell, so that a name cannot be a command. */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** How a check is asked. */
export function asked(check) {
  const often = check.interval_ms ? `every ${span(check.interval_ms)}` : '';
  const patience = check.timeout_ms ? `waits ${span(check.timeout_ms)}` : '';
  switch (check.kind) {
    case 'ttl': return `heartbeat, expected within ${span(check.ttl_ms ?? 0)}`;
    case 'maintenance': return 'taken out of service by hand';
    case 'manual': return 'reported by whoever registered it';
    default: return [check.kind, [check.target, often, patience].filter(Boolean).join(', ')].filter(Boolean).join(': ');
  }
}
