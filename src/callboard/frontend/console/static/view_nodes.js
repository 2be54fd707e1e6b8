// Nodes: the hosts that instances run on, and what is on each.
import { Holding } from './catalog.js';
import { html } from './html.js';
import { Check, Instances } from './instances.js';
import { foundAmong } from './listing.js';
import { Counts, Facts, State } from './parts.js';
import { Rows } from './rows.js';
import { store, to } from './store.js';
import { share } from './text.js';
import { Search, Toolbar } from './toolbar.js';
import { Nothing } from './view_services.js';
import { Missing } from './view_service.js';

const aim = () => store.nodes.aim();
const COLUMNS = ['State', 'Node', 'Instances', 'Address'];

/** Every node, also those on which nothing is. */
let known = { version: -1, facts: null, table: new Map() };
function table() {
  const { catalog, nodeFacts } = store;
  if (known.version === catalog.version && known.facts === nodeFacts) return known.table;
  const all = new Map(catalog.shown.nodes);
  for (const [key, node] of nodeFacts) if (!all.has(key)) all.set(key, new Holding(node.name));
  known = { version: catalog.version, facts: nodeFacts, table: all };
  return all;
}

export function Nodes() {
  const { catalog, route } = store;
  const all = table();
  const listing = store.nodes.of(all, catalog.version, route);
  return html`<h1 class="hidden">Nodes</h1>
    <${Toolbar} listing=${listing} what="node" total=${all.size} hint="name, service, id or address" />
    ${!catalog.complete && html`<p class="dim waiting">Loading the catalog ...</p>`}
    ${catalog.complete && !listing.rows.length && html`<${Nothing} />`}
    ${listing.rows.length > 0 && html`<${Rows} kind="nodes" label="Nodes" columns=${COLUMNS} rows=${listing.rows} row=${row} aim=${aim} />`}`;
}

const row = (held, at) => html`<div role="row" class="row" key=${held.key} aria-rowindex=${at + 2}>
  <div role="cell" class="c-state"><${State} state=${held.state} /></div>
  <div role="cell" class="c-name"><a href=${to({ page: 'node', name: held.name })} data-row=${at} data-key=${held.key}>${held.name}</a></div>
  <div role="cell" class="c-counts"><${Counts} counts=${held.counts} total=${held.total} /></div>
  <div role="cell" class="c-why mono">${store.nodeFacts.get(held.key)?.address ?? ''}</div>
</div>`;

const factsOf = ({ address, implicit, meta }) => [
  ['address', address],
  ['made by', implicit && 'the first call from its address'],
  ...Object.entries(meta).map(([name, value]) => [`meta ${name}`, value]),
];

export function Node() {
  const { route } = store;
  const held = table().get(route.name.toLowerCase());
  if (!held) return html`<${Missing} what="node" back=${to({ page: 'nodes' })} />`;
  const facts = store.nodeFacts.get(held.key);
  const all = held.sorted();
  const list = foundAmong(all, route.q);
  const checks = all[0]?.checks.filter((check) => check.of_node) ?? [];
  return html`<nav class="trail" aria-label="Where this is"><a href=${to({ page: 'nodes' })}>Nodes</a> <span aria-hidden="true">/</span></nav>
    <div class="title"><h1>${held.name}</h1><${State} state=${held.state} /><${Counts} counts=${held.counts} total=${held.total} /></div>
    ${facts && html`<${Facts} facts=${factsOf(facts)} />`}
    ${checks.length > 0 && html`<h2>Checks of the node</h2>${checks.map((check) => html`<${Check} key=${check.id} check=${check} />`)}`}
    <h2>Instances on it</h2>
    <div class="toolbar"><${Search} hint="service, id, address, tag or state" label="Search instances" />
      <p class="found-count">${share(list.length, held.total, 'instance')}</p></div>
    <${Instances} list=${list} other="service" />`;
}
