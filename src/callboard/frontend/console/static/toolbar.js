// Search, filter and order of a list. The search field is the same one in every view, so that `/` and Esc mean the same everywhere.
import { html } from './html.js';
import { FILTERS } from './listing.js';
import { Icon, Shape } from './parts.js';
import { invalidate, refine, store } from './store.js';
import { number, share } from './text.js';

export const Search = ({ hint, label }) => html`<div class="search" role="search">
  <${Icon} d="M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9ZM10.4 10.4 14 14" />
  <input id="search" type="search" value=${store.route.q} placeholder=${`Search ${hint}`} aria-label=${label} autocomplete="off" spellcheck=${false}
    aria-keyshortcuts="/" onInput=${(event) => refine({ q: event.target.value })} />
  <kbd aria-hidden="true">/</kbd>
</div>`;

export function Toolbar({ listing, what, total, hint }) {
  const { route } = store;
  return html`<div class="toolbar">
    <${Search} hint=${hint} label=${`Search ${what}s by ${hint}`} />
    <div class="filters" role="group" aria-label="Filter by state">
      ${FILTERS.filter((state) => state !== 'down' || what === 'service').map(
        (state) => html`<${Filter} key=${state} state=${state} what=${what} of=${listing.numbers[state]} pressed=${route.states.includes(state)} />`,
      )}
    </div>
    <div class="order" role="group" aria-label="Order">
      <button type="button" aria-pressed=${String(route.sort === 'worst')} onClick=${() => refine({ sort: 'worst' })}>worst first</button>
      <button type="button" aria-pressed=${String(route.sort === 'name')} onClick=${() => refine({ sort: 'name' })}>by name</button>
    </div>
    <p class="found-count"><${Announced} text=${share(listing.rows.length, total, what)} /></p>
  </div>`;
}

const meaning = (state, what) =>
  state === 'down' ? 'services nobody can call' : `${what}s with an instance that is ${state}; a ${what} with several states counts in each`;

const Filter = ({ state, what, of, pressed }) => html`<button type="button" class="filter is-${state} ${of ? '' : 'none'}" title=${meaning(state, what)}
  aria-pressed=${String(pressed)} onClick=${() => toggle(state)}><${Shape} state=${state} /><span>${state}</span> <b>${number(of)}</b></button>`;

function toggle(state) {
  const { states } = store.route;
  refine({ states: states.includes(state) ? states.filter((each) => each !== state) : [...states, state] });
}

const QUIET_MS = 1500;
let said = '';
let next = '';
let timer = 0;

/** Seen at once, and told to who listens when it has stood still for a moment: a list that changes all the time is not read out all the time. */
function Announced({ text }) {
  if (text !== next) {
    next = text;
    clearTimeout(timer);
    timer = setTimeout(() => {
      said = next;
      invalidate();
    }, QUIET_MS);
  }
  return html`<span aria-hidden="true">${text}</span><span class="hidden" aria-live="polite">${said}</span>`;
}
