// One service: how many of it are well, each instance with the reason when it is not, and how to call it.
import { Calling } from './calling.js';
import { html } from './html.js';
import { Instances } from './instances.js';
import { foundAmong } from './listing.js';
import { Counts, Notice, State, Tags } from './parts.js';
import { store, to } from './store.js';
import { share } from './text.js';
import { Search } from './toolbar.js';

export function Service() {
  const { catalog, route } = store;
  const held = catalog.service(route.name);
  if (!held) return html`<${Missing} what="service" back=${to({})} />`;
  const list = foundAmong(held.sorted(), route.q);
  const { haystack, tags } = held;
  return html`<nav class="trail" aria-label="Where this is"><a href=${to({})}>Services</a> <span aria-hidden="true">/</span></nav>
    <div class="title"><h1>${held.name}</h1><${State} state=${held.state} /><${Counts} counts=${held.counts} total=${held.total} />
      ${haystack && html`<${Tags} tags=${tags} />`}</div>
    ${!catalog.complete && html`<p class="dim waiting">Loading instances ...</p>`}
    ${catalog.complete && html`<div class="toolbar"><${Search} hint="id, node, address, tag or state" label="Search instances" />
      <p class="found-count">${share(list.length, held.total, 'instance')}</p></div>
      <${Instances} list=${list} other="node" />`}
    <${Calling} service=${held.name} />`;
}

/** What is asked for is not there; it may come, and then is shown. */
export const Missing = ({ what, back }) =>
  store.catalog.complete
    ? html`<${Notice} heading="h1" title=${`No ${what} of this name is registered`}>
        <p><b class="mono">${store.route.name}</b> is shown here as soon as it is. <a href=${back}>All ${what}s</a></p><//>`
    : html`<h1>${store.route.name}</h1><p class="dim waiting">Loading the catalog ...</p>`;
