// The catalog as the browser knows it: instances by service and by node, counted as they change.
// A picture is complete when the stream says `ready`; until then the one before it is shown. Lives as long as the page.

/** What an instance is for those who would call it, best first. */
export const STATES = ['passing', 'starting', 'draining', 'maintenance', 'warning', 'critical'];
const SEVERITY = Object.fromEntries(STATES.map((state, at) => [state, at]));

export const stateOf = (instance) =>
  instance.status === 'maintenance' || instance.phase === 'serving' || !(instance.phase in SEVERITY) ? instance.status : instance.phase;

export const worstFirst = (a, b) => SEVERITY[stateOf(b)] - SEVERITY[stateOf(a)] || compare(a.service, b.service) || compare(a.id, b.id) || compare(a.node, b.node);

const WARM_SLICE_MS = 5;
const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });
export const compare = (a, b) => collator.compare(a, b);
const keyOf = (instance) => `${instance.node.toLowerCase()}\n${instance.id}`;

/** A set of instances and how many there are in each state: a service, or what is on a node. */
export class Holding {
  constructor(name, isService = false) {
    this.name = name;
    this.isService = isService;
    this.key = name.toLowerCase();
    this.instances = new Map();
    this.counts = Object.fromEntries(STATES.map((state) => [state, 0]));
    this.total = 0;
    this.tags = [];
    this.text = this.order = null; // worked out when they are asked for
  }

  put(key, instance) {
    this.remove(key);
    this.instances.set(key, instance);
    this.counts[stateOf(instance)] += 1;
    this.total += 1;
    this.text = this.order = null;
  }

  remove(key) {
    const before = this.instances.get(key);
    if (!before) return;
    this.instances.delete(key);
    this.counts[stateOf(before)] -= 1;
    this.total -= 1;
    this.text = this.order = null;
  }

  /** The worst there is; `down` for a service of which nobody can be called, or soon will be: the word a row begins with. */
  get state() {
    const { counts } = this;
    if (this.isService && this.total && !counts.passing && !counts.warning && !counts.starting) return 'down';
    for (let at = STATES.length - 1; at > 0; at -= 1) if (counts[STATES[at]]) return STATES[at];
    return 'passing';
  }

  get severity() {
    const { state } = this;
    return state === 'down' ? STATES.length + (this.counts.critical > 0) : SEVERITY[state];
  }

  /** Everything it may be found by, in lower case; tags are gathered on the way. */
  get haystack() {
    if (this.text === null) this.gather();
    return this.text;
  }

  gather() {
    if (this.instances.size) this.tags = [...new Set([...this.instances.values()].flatMap((each) => each.tags))].sort(compare);
    const parts = [this.name, ...this.tags];
    for (const each of this.instances.values()) parts.push(each.service, each.id, each.node, addressOf(each));
    this.text = parts.join('\n').toLowerCase();
  }

  /** Worst first; kept, for every drawing asks. */
  sorted() {
    this.order ??= [...this.instances.values()].sort(worstFirst);
    return this.order;
  }
}

export const addressOf = (instance) => {
  const host = instance.address.includes(':') ? `[${instance.address}]` : instance.address;
  return instance.port ? `${host}:${instance.port}` : host;
};

class Picture {
  constructor() {
    this.services = new Map();
    this.nodes = new Map();
  }

  put(instance) {
    const key = keyOf(instance);
    holding(this.services, instance.service, true).put(key, instance);
    holding(this.nodes, instance.node).put(key, instance);
  }

  remove(instance) {
    const key = keyOf(instance);
    for (const [table, name] of [[this.services, instance.service], [this.nodes, instance.node]]) {
      const held = table.get(name.toLowerCase());
      held?.remove(key);
      if (held && !held.total) leave(table, held.key);
    }
  }
}

function holding(table, name, isService = false) {
  const key = name.toLowerCase();
  let held = table.get(key);
  if (!held) {
    table.set(key, (held = new Holding(name, isService)));
    table.turn = (table.turn ?? 0) + 1; // grows when somebody comes or goes, so that names are sorted only then
  }
  return held;
}

function leave(table, key) {
  table.delete(key);
  table.turn += 1;
}

export class Catalog {
  constructor() {
    this.shown = new Picture();
    this.incoming = null;
    this.complete = false; // whether instances are known, and not only how many there are
    this.loaded = false; // whether anything is known
    this.revision = 0;
    this.version = 0; // grows with every change, so that what is derived is derived once
  }

  /** The list of services, before the stream has told of every instance: counts are right, but for how draining ones do. */
  preview(list) {
    if (this.complete) return;
    this.shown = new Picture();
    for (const told of list.services) {
      const held = holding(this.shown.services, told.name, true);
      const { passing, warning, critical, maintenance, draining } = told;
      Object.assign(held.counts, { passing: Math.max(0, passing - draining), warning, critical, maintenance, draining: Math.min(draining, passing) });
      held.total = told.instances;
      held.tags = told.tags;
    }
    this.revision = list.revision;
    this.loaded = true;
    this.version += 1;
  }

  /** The stream begins from nothing. */
  begin() {
    this.incoming = new Picture();
  }

  /** The stream goes on where the shown picture ends; one that was half told when the last stream broke is of no use. */
  resume() {
    this.incoming = null;
  }

  take(event, data) {
    const picture = this.incoming ?? this.shown;
    this.revision = data.revision;
    if (event === 'resync') this.begin();
    else if (event === 'ready') this.settle();
    else if (event === 'removed') picture.remove(data.instance);
    else if (event === 'added' || event === 'changed') picture.put(data.instance);
    if (picture === this.shown) this.version += 1;
  }

  settle() {
    if (this.incoming) this.shown = this.incoming;
    this.incoming = null;
    this.complete = this.loaded = true;
    this.version += 1;
    this.warm(this.shown.services.values());
  }

  /** Work out by what services are found before anybody searches, a few at a time. */
  warm(held) {
    const end = performance.now() + WARM_SLICE_MS;
    for (const each of held) {
      each.gather();
      if (performance.now() > end) {
        setTimeout(() => this.warm(held));
        return;
      }
    }
  }

  service(name) {
    return this.shown.services.get(name.toLowerCase());
  }

  node(name) {
    return this.shown.nodes.get(name.toLowerCase());
  }
}
