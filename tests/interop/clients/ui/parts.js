// The parts of the page that only compute, tried in the browser they are for. Answers what is wrong.
async () => {
  const of = (name) => import(document.querySelector('script[type=module]').src.replace('app.js', name));
  const [{ SseParser }, { Catalog, STATES, stateOf, worstFirst }, { Listing }, { href, parse }] =
    await Promise.all(['sse.js', 'catalog.js', 'listing.js', 'router.js'].map(of));
  const wrong = [];
  const text = JSON.stringify;
  const same = (what, a, b) => text(a) === text(b) || wrong.push(`${what}: ${text(a)} and ${text(b)}`);

  // a stream says the same wherever it is cut
  const stream = 'retry: 7\n\n: alive\n\nevent: added\ndata: {"a":"é: x"}\n\nid: 3.x\nevent: ready\ndata: {}\n\n';
  const whole = new SseParser().feed(stream);
  same('events', whole.map((each) => [each.event, each.data, each.id, each.retryMs, each.comment]),
    [['', '', null, 7, null], ['', '', null, null, 'alive'], ['added', '{"a":"é: x"}', null, null, null], ['ready', '{}', '3.x', null, null]]);
  for (let at = 0; at <= stream.length; at += 1) {
    const parser = new SseParser();
    same(`cut at ${at}`, [...parser.feed(stream.slice(0, at)), ...parser.feed(stream.slice(at))], whole);
  }

  // counts are what counting anew would give, whatever has happened
  let seed = 7;
  const chance = (below) => (seed = (seed * 48271) % 2147483647) % below;
  const made = () => ({ id: `i${chance(9)}`, node: ['A', 'a', 'b'][chance(3)], service: ['Web', 'web', 'db'][chance(3)], address: '::1', port: 1,
    tags: [`t${chance(3)}`], status: ['passing', 'warning', 'critical', 'maintenance'][chance(4)], phase: ['serving', 'draining', 'starting'][chance(3)] });
  const catalog = new Catalog();
  const there = new Map(); // node and id: the instance
  const key = (each) => `${each.node.toLowerCase()} ${each.id}`;
  const tell = (event, instance) => catalog.take(event, { revision: 1, instance });
  catalog.begin();
  tell('ready');
  for (let step = 0; step < 3000; step += 1) {
    const each = made();
    const before = there.get(key(each));
    if (before && (chance(3) === 0 || before.service !== each.service)) {
      tell('removed', before);
      there.delete(key(each));
    } else {
      tell(before ? 'changed' : 'added', each);
      there.set(key(each), each);
    }
    for (const [table, name] of [[catalog.shown.services, 'service'], [catalog.shown.nodes, 'node']]) {
      const counted = {};
      for (const one of there.values()) (counted[one[name].toLowerCase()] ??= Object.fromEntries(STATES.map((state) => [state, 0])))[stateOf(one)] += 1;
      const sorted = (pairs) => pairs.sort(([a], [b]) => (a < b ? -1 : 1));
      const ids = (all) => all.map((one) => `${one.node} ${one.id}`);
      for (const held of table.values()) same('in order', ids(held.sorted()), ids([...held.instances.values()].sort(worstFirst)));
      same(`step ${step}`, sorted([...table.values()].map((held) => [held.key, held.counts])), sorted(Object.entries(counted)));
    }
    if (wrong.length) break;
  }

  // a picture that was half told is never shown
  const shown = catalog.shown;
  tell('resync');
  tell('added', made());
  same('while it comes', catalog.shown === shown, true);
  catalog.resume();
  tell('ready');
  same('after it broke', catalog.shown === shown, true);

  // no row moves away while somebody aims at it
  const listing = new Listing();
  const wish = { q: '', states: [], sort: 'name' };
  const names = (held) => held.map((each) => each.name);
  const table = (all) => new Map(all.map((name) => [name, { name, key: name, haystack: name, counts: {}, severity: 0 }]));
  listing.of(table(['b', 'c']), 1, wish);
  listing.aim();
  same('aimed at', names(listing.of(table(['a', 'b', 'c']), 2, wish).rows), ['b', 'c', 'a']);
  same('another wish', names(listing.of(table(['a', 'b', 'c']), 3, { ...wish, q: ' ' }).rows), ['a', 'b', 'c']);

  // an address says all of a route
  for (const name of ['web', 'a/b?c#d %2F', '..', '.', 'é'])
    for (const page of ['service', 'node']) {
      const route = { page, name, q: 'x y', states: ['critical', 'warning'], sort: 'name', namespace: 'blue' };
      same(name, parse(new URL(href(route), location.href)), route);
    }
  return wrong;
}
