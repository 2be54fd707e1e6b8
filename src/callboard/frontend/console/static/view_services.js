// The first view: every service, worst first, and at once why the bad ones are bad.
import { STATES, stateOf } from './catalog.js';
import { Beginning } from './calling.js';
import { html } from './html.js';
import { foundBy } from './listing.js';
import { Counts, Notice, State, Tags } from './parts.js';
import { Rows } from './rows.js';
import { store, to } from './store.js';
import { Toolbar } from './toolbar.js';

const COLUMNS = ['State', 'Service', 'Instances', 'Why, and tags'];
const aim = () => store.services.aim();
const TAGS_SHOWN = 4;
const SEVERE = STATES.indexOf('maintenance');
const UNWELL = new Set(['warning', 'critical', 'maintenance']);

export function Services() {
  const { catalog, route } = store;
  const table = catalog.shown.services;
  const listing = store.services.of(table, catalog.version, route);
  if (catalog.loaded && !table.size) return html`<${Beginning} />`;
  return html`<h1 class="hidden">Services</h1>
    <${Toolbar} listing=${listing} what="service" total=${table.size} hint="name, tag, id, node, address" />
    ${!catalog.loaded && html`<p class="dim waiting">Loading the catalog ...</p>`}
    ${catalog.loaded && !listing.rows.length && html`<${Nothing} />`}
    ${listing.rows.length > 0 && html`<${Rows} kind="services" label="Services" columns=${COLUMNS} rows=${listing.rows} row=${row} aim=${aim} />`}`;
}

export const Nothing = () => html`<${Notice} title="Nothing is found">
  <p>No entry fits the search and the filter${store.catalog.complete ? '' : ' yet; instances are still loading'}. Esc in the search field clears both.</p>
<//>`;

function row(held, at) {
  const hint = store.route.q ? foundBy(held, store.route.q) : '';
  return html`<div role="row" class="row" key=${held.key} aria-rowindex=${at + 2}>
    <div role="cell" class="c-state"><${State} state=${held.state} /></div>
    <div role="cell" class="c-name"><a href=${to({ page: 'service', name: held.name })} data-row=${at} data-key=${held.key}>${held.name}</a>
      ${hint && html`<span class="found">${hint}</span>`}</div>
    <div role="cell" class="c-counts"><${Counts} counts=${held.counts} total=${held.total} /></div>
    <div role="cell" class="c-why">${why(held) || tags(held)}</div>
  </div>`;
}

function tags(held) {
  const { haystack, tags: all } = held; // asking for the first gathers the second
  return haystack && html`<${Tags} tags=${all.length > TAGS_SHOWN ? [...all.slice(0, TAGS_SHOWN), `+${all.length - TAGS_SHOWN}`] : all} />`;
}

/** The worst check of the worst instance, in one line. */
function why(held) {
  if (!held.instances.size || held.severity < SEVERE) return '';
  const worst = worstOf(held);
  const check = UNWELL.has(worst.status) && worst.checks.find((each) => each.status === worst.status);
  const said = check && (check.output.trim().split('\n')[0] || check.notes || check.name || check.id);
  return html`<span class="why is-${held.state}">${said ? `${worst.id}: ${said}` : 'nobody is left to be called: all drain or are taken out'}</span>`;
}

/** The first of the worst ones: without sorting, for this is asked for every row in sight. */
function worstOf(held) {
  const state = held.state === 'down' ? STATES.findLast((each) => held.counts[each]) : held.state;
  for (const each of held.instances.values()) if (stateOf(each) === state) return each;
  return held.instances.values().next().value;
}
