// Small pieces that every view is made of: a state with its shape, a bar of counts, a text that can be copied.
import { STATES } from './catalog.js';
import { html } from './html.js';
import { invalidate, store } from './store.js';
import { count, number } from './text.js';

// Each state has a shape of its own, for not everybody tells the colours apart.
const SHAPES = {
  passing: 'M3.5 8.5 6.8 11.8 12.8 4.8',
  warning: 'M8 3.2 14 13.2H2ZM8 7v3M8 11.6v.1',
  critical: 'M4 4l8 8M12 4l-8 8',
  down: 'M4 4l8 8M12 4l-8 8',
  maintenance: 'M5.8 4v8M10.2 4v8',
  draining: 'M8 3v9M4 8.5 8 12.5l4-4',
  starting: 'M8 13V4M4 7.5l4-4 4 4',
};

/** A line drawing of 16 by 16; what it means is said beside it. */
export const Icon = ({ d, children }) => html`<svg class="shape" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
  <path d=${d} />${children}</svg>`;

export const Shape = ({ state }) => html`<${Icon} d=${SHAPES[state] ?? SHAPES.warning} />`;

/** A state as shape and word. */
export const State = ({ state, quiet }) => html`<span class="state is-${state}"><${Shape} state=${state} /><span class=${quiet ? 'hidden' : ''}>${state}</span></span>`;

const WORST_FIRST = [...STATES].reverse();

/** How many are in each state: as a bar for the eye, and as numbers. */
export function Counts({ counts, total }) {
  const there = WORST_FIRST.filter((state) => counts[state]);
  return html`<span class="counts">
    <span class="bar" aria-hidden="true">
      ${there.map((state) => html`<span key=${state} class="part is-${state}" style=${{ flexGrow: counts[state] }}></span>`)}</span>
    <span class="numbers">
      ${there.map((state) => html`<span key=${state} class="number is-${state}" title=${count(counts[state], `${state} instance`, `${state} instances`)}>
        <${Shape} state=${state} />${number(counts[state])}<span class="hidden"> ${state}</span></span>`)}
      ${total === 0 && html`<span class="dim">none</span>`}
    </span>
  </span>`;
}

export const Tags = ({ tags }) => tags.length > 0 && html`<span class="tags">${tags.map((tag) => html`<span key=${tag} class="tag">${tag}</span>`)}</span>`;

/** A button that puts a text on the clipboard. */
export function Copy({ text, what }) {
  const done = store.copied === text;
  const label = `${done ? 'copied' : 'copy'} ${what}`;
  return html`<button type="button" class="copy" onClick=${() => copy(text)} aria-label=${label} title=${label}>
    <${Icon} d=${done ? SHAPES.passing : 'M6 5.5h7v8H6ZM10 5.5v-3H3v8h3'} />
  </button>`;
}

const COPIED_MS = 2000;
let forgetting = 0;

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyTheOldWay(text); // a page that came over plain HTTP from another machine has no clipboard
  }
  store.copied = text;
  clearTimeout(forgetting);
  forgetting = setTimeout(() => {
    store.copied = '';
    invalidate();
  }, COPIED_MS);
  invalidate();
}

function copyTheOldWay(text) {
  const area = document.createElement('textarea');
  const before = document.activeElement;
  area.value = text;
  area.className = 'offscreen';
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  before?.focus();
}

/** Commands or a program, with a button that copies them. */
export const Code = ({ title, text, heading = 'h3' }) => html`<div class="code">
  <div class="code-head"><${heading}>${title}<//><${Copy} text=${text} what=${`${title} lines`} /></div>
  <pre tabindex="0" role="group" aria-label=${title}><code>${text}</code></pre>
</div>`;

/** Names and values. */
export const Facts = ({ facts }) => html`<dl class="facts">${facts
  .filter(([, value]) => value !== '' && value !== null && value !== undefined && value !== false)
  .map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

export const Notice = ({ title, heading = 'h2', children }) => html`<div class="notice"><${heading}>${title}<//>${children}</div>`;

/** Names of columns. */
export const Head = ({ columns }) => html`<div role="rowgroup" class="head"><div role="row" aria-rowindex="1">
  ${columns.map((name) => html`<div role="columnheader" key=${name}>${name}</div>`)}</div></div>`;
