// The page, put together: what the server tells goes into the store, what people do goes into the address, and both are drawn.
import { config } from './config.js';
import { Frame } from './frame.js';
import { html, render } from './html.js';
import { Link } from './link.js';
import { Rows } from './rows.js';
import { arrive, go, invalidate, invalidateSoon, onDraw, refine, store, to } from './store.js';
import { Members } from './view_members.js';
import { Node, Nodes } from './view_nodes.js';
import { Service } from './view_service.js';
import { Services } from './view_services.js';

const VIEWS = { services: Services, service: Service, nodes: Nodes, node: Node, members: Members };
const TICK_MS = 1000; // how often times that pass are drawn anew
const root = document.getElementById('app');

function draw() {
  const { route } = store;
  const title = { service: route.name, node: route.name, nodes: 'Nodes', members: 'Members' }[route.page];
  document.title = title ? `${title} · Callboard` : 'Callboard';
  render(html`<${Frame}><${VIEWS[route.page]} key=${`${route.page} ${route.name}`} /><//>`, root);
}

// -- what the server tells

async function ask(path) {
  const answer = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(config.status_time_max_ms) });
  return answer.ok ? answer.json() : null;
}

const scope = `?namespace=${encodeURIComponent(store.route.namespace)}`;

async function preview() {
  const list = await ask(`/api/v1/services${scope}`).catch(() => null); // the stream brings the same, later
  if (list) store.catalog.preview(list);
  invalidate();
}

/** What the stream does not tell: the servers, and nodes with nothing on them. Asked only for who looks. */
async function further() {
  const { page } = store.route;
  if (page === 'members') store.members = (await ask('/api/v1/members').catch(() => null)) ?? store.members;
  if (page === 'node' || page === 'nodes') {
    const list = await ask(`/api/v1/nodes${scope}`).catch(() => null);
    if (list) store.nodeFacts = new Map(list.nodes.map((node) => [node.name.toLowerCase(), node]));
  }
  invalidate();
}

const SKEW_MIN_MS = 2000; // the server tells its time in whole seconds

store.link = new Link(store.route.namespace, {
  begin: (resuming) => (resuming ? store.catalog.resume() : store.catalog.begin()),
  hear(event, data) {
    store.catalog.take(event, data);
    invalidateSoon();
  },
  changed: invalidate,
  answered(status, serverMs) {
    const skew = serverMs - Date.now();
    store.skewMs = Math.abs(skew) > SKEW_MIN_MS ? skew : 0;
    store.status = status;
    further();
  },
});

// -- what people do

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.origin !== location.origin || !(link.pathname === '/ui' || link.pathname.startsWith('/ui/')) || link.hash) return;
  event.preventDefault();
  go(link.href);
  document.getElementById('main').focus({ preventScroll: true });
  further();
});

window.addEventListener('popstate', (event) => {
  arrive(event.state?.scroll ?? 0);
  further();
});

document.addEventListener('keydown', (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  const search = document.getElementById('search');
  const typing = event.target === search;
  if (event.key === '/' && !typing && search) {
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === 'Escape') {
    escape(search, typing);
  } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && Rows.now && (typing || event.target === document.body || event.target.closest('.rows, main'))) {
    arrow(event, search);
  } else if (event.key === 'Enter' && typing && Rows.now) {
    document.querySelector('[data-row="0"]')?.click();
  }
});

/** Out of a search: first what was typed, then the field; out of a view: back to the list. */
function escape(search, typing) {
  const { page, q, states } = store.route;
  if (q || states.length) refine({ q: '', states: [] });
  else if (typing) search.blur();
  else if (page === 'service') go(to({}));
  else if (page === 'node') go(to({ page: 'nodes' }));
}

function arrow(event, search) {
  const row = event.target.closest?.('[data-row]');
  if (event.key === 'ArrowUp' && row?.dataset.row === '0') search?.focus();
  else if (event.key === 'ArrowUp' && !row) return;
  else Rows.now.step(event.key === 'ArrowDown' ? 1 : -1);
  event.preventDefault();
}

onDraw(draw);
draw();
preview().then(() => store.link.open()); // not at once: a server that is telling of every instance answers nobody else meanwhile
setInterval(invalidate, TICK_MS);
