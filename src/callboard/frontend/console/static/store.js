// What the page knows and shows, and when it is drawn. What people do is drawn with the next frame; what the stream tells, with the first
// frame after `refresh_ms`, together: two hundred changes a second are five drawings.
import { Catalog } from './catalog.js';
import { config } from './config.js';
import { Listing } from './listing.js';
import { href, parse } from './router.js';

export const store = {
  route: parse(new URL(location.href)),
  catalog: new Catalog(),
  services: new Listing(),
  nodes: new Listing(),
  nodeFacts: new Map(), // address and meta data of nodes, by name in lower case
  link: null,
  status: null,
  members: null,
  skewMs: 0, // how far the server's clock is ahead of the browser's
  open: new Set(), // instances whose details are shown
  limit: 0, // of instances shown in a view; 0: as many as fit the first look
  copied: '', // what was put on the clipboard last
  theme: document.documentElement.dataset.theme ?? 'system',
};

let draw = () => {};
let frame = 0;
let timer = 0;
export const onDraw = (callback) => (draw = callback);

/** Somebody did something: draw with the next frame. */
export function invalidate() {
  if (!frame) frame = requestAnimationFrame(drawn);
}

/** The stream told something: draw soon, with what else it tells until then. */
export function invalidateSoon() {
  if (!timer) timer = setTimeout(invalidate, config.refresh_ms);
}

function drawn() {
  clearTimeout(timer);
  frame = timer = 0;
  draw();
}

/** The server's clock, by which checks are dated. */
export const now = () => Date.now() + store.skewMs;

/** The address of another route in the same namespace. */
export const to = (route) => href({ namespace: store.route.namespace, ...route });

const WRITE_PAUSE_MS = 300; // browsers refuse to write the address more than some hundred times in half a minute
let writing = 0;

/** Another search, filter or order in the same view: the address follows, the way back does not. */
export function refine(changes) {
  Object.assign(store.route, changes);
  store.limit = 0;
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, '', href(store.route)), WRITE_PAUSE_MS);
  invalidate();
}

/** Another view. */
export function go(address) {
  clearTimeout(writing);
  history.replaceState({ scroll: window.scrollY }, '', href(store.route));
  history.pushState(null, '', address);
  arrive(0);
}

/** The address is another one: show what it says. */
export function arrive(scroll) {
  const namespace = store.route.namespace;
  store.route = parse(new URL(location.href));
  if (store.route.namespace !== namespace) return location.reload();
  store.limit = 0;
  draw();
  window.scrollTo(0, scroll);
  return invalidate();
}
