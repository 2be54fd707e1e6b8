// The address is the state: which view, of what, searched and filtered how. Every link on the page is a real one.
import { FILTERS } from './listing.js';

const ROOT = '/ui';
const SORTS = ['worst', 'name'];

/** The route of an address. */
export function parse(url) {
  const [view = '', ...rest] = url.pathname.slice(ROOT.length + 1).split('/');
  const query = url.searchParams;
  const name = decode(rest.join('/')) || (query.get('name') ?? '');
  const sort = query.get('sort');
  return {
    page: view === 'services' && name ? 'service' : view === 'nodes' ? (name ? 'node' : 'nodes') : view === 'members' ? 'members' : 'services',
    name,
    q: query.get('q') ?? '',
    states: FILTERS.filter((state) => (query.get('status') ?? '').split(',').includes(state)),
    sort: SORTS.includes(sort) ? sort : SORTS[0],
    namespace: query.get('namespace') ?? '',
  };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a route. */
export function href({ page = 'services', name = '', q = '', states = [], sort = SORTS[0], namespace = '' }) {
  const dots = name === '.' || name === '..'; // what a path cannot hold
  const last = dots ? '' : encodeURIComponent(name);
  const path = { services: '', service: `/services/${last}`, nodes: '/nodes', node: `/nodes/${last}`, members: '/members' }[page];
  const query = new URLSearchParams();
  if (dots) query.set('name', name);
  if (q) query.set('q', q);
  if (states.length) query.set('status', states.join());
  if (sort !== SORTS[0]) query.set('sort', sort);
  if (namespace) query.set('namespace', namespace);
  const text = query.toString();
  return ROOT + path + (text ? `?${text}` : '');
}
