// The servers themselves: who is there, who leads, how new their answers are, and how the store is.
import { html } from './html.js';
import { Facts, Head, State } from './parts.js';
import { now, store } from './store.js';
import { ago, bytes, count, date, number, span } from './text.js';

function leader(status) {
  if (!status.leader) return html`<${State} state="critical" /> nobody is known to lead: nothing can be written`;
  return status.leading ? 'this server' : html`<span class="mono">${status.leader}</span>`;
}

export function Members() {
  const { status, members, catalog } = store;
  if (!status) return html`<h1>Members</h1><p class="dim waiting">Asking the server ...</p>`;
  const { store: engine } = status;
  return html`<h1>Members</h1>
    <div class="panels">
      <section class="panel" aria-labelledby="answers"><h2 id="answers">This server <${State} state=${status.ready ? 'passing' : 'critical'} quiet /></h2>
        <${Facts} facts=${[
          ['member', html`<span class="mono">${status.member}</span>`],
          ['version', status.version],
          ['data centre', status.datacenter],
          ['leader', leader(status)],
          ['answers', status.age_ms ? html`<${State} state="warning" /> may be ${span(status.age_ms)} old` : 'are up to date'],
          ['revision', number(status.revision)],
          ['this page', `is at revision ${number(catalog.revision)}`],
        ]} /></section>
      <section class="panel" aria-labelledby="engine"><h2 id="engine">Store <${State} state=${engine?.reachable ? 'passing' : 'critical'} quiet /></h2>
        ${engine && html`<${Facts} facts=${[
          ['state', engine.reachable ? 'reachable' : html`<${State} state="critical" /> not reachable`],
          ['said', engine.detail],
          ['version', engine.version],
          ['size', engine.size_bytes > 0 && bytes(engine.size_bytes)],
          ['of at most', engine.size_max_bytes > 0 && bytes(engine.size_max_bytes)],
        ]} />`}</section>
      <section class="panel" aria-labelledby="holds"><h2 id="holds">Catalog</h2>
        <${Facts} facts=${[
          ['services', number(status.services)],
          ['instances', number(status.instances)],
          ['checks', number(status.checks)],
          ['nodes', number(status.nodes)],
        ]} /></section>
    </div>
    <h2>${members ? count(members.members.length, 'server') : 'Servers'}</h2>
    ${members && html`<div role="table" class="rows members" aria-label="Servers">
      <${Head} columns=${['Role', 'Member', 'Address', 'Version', 'Started']} />
      <div role="rowgroup" class="body">${members.members.map((each) => html`<div role="row" class="row" key=${each.name}>
        <div role="cell">${each.leading ? html`<b>leader</b>` : 'follower'}</div>
        <div role="cell" class="mono">${each.name}</div>
        <div role="cell" class="mono">${each.url}</div>
        <div role="cell">${each.program}</div>
        <div role="cell" title=${date(each.started_ms)}>${ago(each.started_ms, now())}</div>
      </div>`)}</div></div>`}`;
}
