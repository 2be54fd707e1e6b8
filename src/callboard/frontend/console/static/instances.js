// Instances of a service, or on a node: where each is, how it is, and, when it is not well, why, without a click.
import { addressOf, stateOf } from './catalog.js';
import { html } from './html.js';
import { Copy, Facts, Head, Icon, State, Tags } from './parts.js';
import { invalidate, now, store, to } from './store.js';
import { asked, count, date, span } from './text.js';

const FIRST_COUNT = 100; // instances shown until more are asked for
const MORE_COUNT = 400;
const UNWELL = new Set(['warning', 'critical', 'maintenance']);

/** A table of instances; `other` is the column that tells them apart here: their node, or their service. */
export function Instances({ list, other }) {
  const limit = store.limit || FIRST_COUNT;
  const shown = list.slice(0, limit);
  const columns = ['State', 'Instance', 'Address', other === 'node' ? 'Node' : 'Service', 'Version', 'Zone', 'Weight'];
  return html`<div role="table" class="rows instances" aria-label="Instances" aria-rowcount=${list.length + 1}>
      <${Head} columns=${columns} />
      ${shown.map((each) => html`<${Instance} key=${`${each.node}\n${each.id}`} of=${each} other=${other} />`)}
    </div>
    ${list.length > shown.length && html`<p class="more">
      <button type="button" onClick=${more}>show ${MORE_COUNT} more</button> of ${count(list.length, 'instance')}</p>`}`;

  function more() {
    store.limit = limit + MORE_COUNT;
    invalidate();
  }
}

function Instance({ of, other }) {
  const state = stateOf(of);
  const key = `${of.node}\n${of.id}`;
  const open = store.open.has(key);
  const place = other === 'node' ? to({ page: 'node', name: of.node }) : to({ page: 'service', name: of.service });
  const weight = of.status === 'warning' ? of.weights.warning : of.weights.passing;
  return html`<div role="rowgroup" class="instance is-${state}">
    <div role="row" class="row">
      <div role="cell" class="c-state"><${State} state=${state} /></div>
      <div role="cell" class="c-id"><button type="button" class="fold" aria-expanded=${String(open)} onClick=${() => fold(key)}>
        <${Icon} d=${open ? 'M3.5 6 8 10.5 12.5 6' : 'M6 3.5 10.5 8 6 12.5'} /><span class="mono">${of.id}</span></button></div>
      <div role="cell" class="c-address"><span class="mono">${addressOf(of)}</span><${Copy} text=${addressOf(of)} what=${`address of ${of.id}`} /></div>
      <div role="cell" class="c-other"><a href=${place}>${other === 'node' ? of.node : of.service}</a></div>
      <div role="cell" data-name="version">${of.meta.version ?? ''}</div>
      <div role="cell" data-name="zone">${of.meta.zone ?? ''}</div>
      <div role="cell" data-name="weight">${weight}</div>
    </div>
    ${reasons(of, state).length > 0 && html`<div role="row" class="reasons"><div role="cell" aria-colspan="7">${reasons(of, state)}</div></div>`}
    ${open && html`<div role="row" class="details"><div role="cell" aria-colspan="7"><${Details} of=${of} /></div></div>`}
  </div>`;
}

function fold(key) {
  if (!store.open.delete(key)) store.open.add(key);
  invalidate();
}

/** Why it is not called, or less: its checks that do not pass, and its phase. */
function reasons(of, state) {
  const lines = of.checks.filter((check) => UNWELL.has(check.status)).sort((a, b) => (a.status === of.status ? 0 : 1) - (b.status === of.status ? 0 : 1));
  const told = lines.map((check) => html`<${Check} key=${check.id} check=${check} />`);
  if (state === 'draining') told.unshift(html`<p key="phase" class="reason">It drains: calls under way may end, new ones go elsewhere.</p>`);
  if (state === 'starting') told.unshift(html`<p key="phase" class="reason">It starts: it is called as soon as it says that it serves.</p>`);
  return told;
}

/** One check: how it is, since when, how it is asked, and what it said last. */
export function Check({ check }) {
  const output = check.output.trim();
  return html`<div class="check is-${check.status}">
    <div class="check-head"><${State} state=${check.status} /> <b>${check.name || check.id}</b>${check.of_node && html` <span class="tag">of the node</span>`}
      <span class="dim">${asked(check)}</span>
      ${check.since_ms > 0 && html`<span class="dim since" title=${date(check.since_ms)}>${check.status} for ${span(Math.max(0, now() - check.since_ms))}</span>`}</div>
    ${output
      ? html`<pre class="output" tabindex="0" role="group" aria-label=${`last output of ${check.name || check.id}`}>${output}</pre>`
      : html`<p class="dim no-output">It has said nothing${check.status === 'critical' && check.kind === 'ttl' ? ': no heartbeat has come' : ''}.</p>`}
    ${check.notes && html`<p class="notes">${check.notes}</p>`}
  </div>`;
}

function Details({ of }) {
  const well = of.checks.filter((check) => !UNWELL.has(check.status));
  return html`
    ${of.checks.length === 0 && html`<p class="dim">It has no checks, and so counts as passing.</p>`}
    ${well.map((check) => html`<${Check} key=${check.id} check=${check} />`)}
    <${Facts} facts=${[
      ['service', of.service],
      ['node', of.node],
      ['kind', of.kind],
      ['phase', of.phase],
      ['ports', of.ports?.map((each) => `${each.name} ${each.port}`).join(', ')],
      ['socket', of.socket_path],
      ['weights', `${of.weights.passing} passing, ${of.weights.warning} warning`],
      ['tags', of.tags.length > 0 && html`<${Tags} tags=${of.tags} />`],
      ...Object.entries(of.meta).map(([name, value]) => [`meta ${name}`, value]),
      ['registered', `at revision ${of.created}`],
      ['changed', of.modified !== of.created && `at revision ${of.modified}`],
    ]} />`;
}
