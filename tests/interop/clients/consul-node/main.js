// Stories of discovery told through the npm package `consul`: node main.js URL. One JSON line each, `failed` empty when it held.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import Consul from "consul";

const url = new URL(process.argv[2]);
const client = new Consul({ host: url.hostname, port: url.port, defaults: { token: "root" } });

async function until(condition, patienceMs = 60_000) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert(Date.now() < end, `not so within ${patienceMs} ms: ${condition}`);
    await pause(50);
  }
}

const statuses = async (service) => (await client.health.checks(service)).map((check) => check.Status).sort();
const ids = async (asked) => (await client.health.service(asked)).map((entry) => entry.Service.ID).sort();

// The first answer that fits, of a watch that is ended then.
async function watched(options, fits, change) {
  const watch = client.watch(options);
  const seen = new Promise((resolve, reject) => {
    watch.on("change", (data) => fits(data) && resolve(data));
    watch.on("error", reject);
    setTimeout(() => reject(new Error("the watch never told")), 60_000).unref();
  });
  try {
    await new Promise((resolve) => watch.once("change", resolve));
    await change();
    return await seen;
  } finally {
    watch.end();
  }
}

const stories = {
  async "an empty server shows itself"() {
    assert.deepEqual({ ...(await client.agent.services()) }, {});
    assert.deepEqual({ ...(await client.catalog.services()) }, { consul: [] });
    assert.deepEqual(await client.catalog.datacenters(), ["dc1"]);
    assert((await client.status.peers()).includes(await client.status.leader()));
    assert.equal((await client.agent.self()).Config.Datacenter, "dc1");
    assert.deepEqual((await client.agent.members()).map((member) => member.Status), [1]);
    assert.deepEqual((await client.health.state("any")).map((check) => check.CheckID), ["serfHealth"]);
  },

  async "a service is registered and found"() {
    await client.agent.service.register({ name: "web", id: "web1", address: "10.0.0.5", port: 80, tags: ["v1", "blue"], meta: { env: "prod" } });
    const shown = (await client.agent.services()).web1;
    assert.deepEqual([shown.Service, shown.Address, shown.Port, shown.Tags, { ...shown.Meta }], ["web", "10.0.0.5", 80, ["v1", "blue"], { env: "prod" }]);
    assert.deepEqual(await ids({ service: "web", tag: "blue", passing: true }), ["web1"]);
    assert.deepEqual(await ids({ service: "web", tag: "green" }), []);
    const [found] = await client.catalog.service.nodes({ service: "web", tag: "v1" });
    assert.deepEqual([found.ServiceID, found.ServiceAddress], ["web1", "10.0.0.5"]);
  },

  async "filters and nearness are sent along"() {
    await client.agent.service.register({ name: "web", id: "web2", port: 81 });
    assert.deepEqual(await ids({ service: "web", filter: "Service.Meta.env == prod" }), ["web1"]);
    assert.deepEqual(await ids({ service: "web", near: "_agent" }), ["web1", "web2"]);
    assert.deepEqual(Object.keys(await client.agent.services({ filter: "Port == 81" })), ["web2"]);
    await assert.rejects(client.health.service({ service: "web", filter: "Nope == 1" }), { statusCode: 500 });
  },

  async "every kind of check it has a word for"() {
    const checks = [
      { name: "page", http: `${url.origin}/v1/status/leader`, interval: "1s", timeout: "5s", header: { "x-story": ["yes"] }, method: "GET" },
      { name: "port", tcp: url.host, interval: "1s" },
      { name: "pushed", ttl: "10m", status: "passing", notes: "by hand" },
      { name: "ran", args: ["true"], interval: "1s" },
      { name: "follows", aliasservice: "web1" },
    ];
    await client.agent.service.register({ name: "checked", checks });
    await until(async () => (await statuses("checked")).join() === Array(5).fill("passing").join());
    const types = (await client.health.checks("checked")).map((check) => check.Type).sort();
    assert.deepEqual(types, ["alias", "http", "script", "tcp", "ttl"]);
  },

  async "a TTL check is pushed"() {
    await client.agent.check.register({ name: "beat", ttl: "10m", serviceid: "web2", notes: "a heart" });
    for (const [push, status] of [["warn", "warning"], ["fail", "critical"], ["pass", "passing"]]) {
      await client.agent.check[push]({ id: "beat", note: `now ${status}` });
      const check = (await client.agent.checks()).beat;
      assert.deepEqual([check.Status, check.Output, check.Notes], [status, `now ${status}`, "a heart"]);
    }
    await client.agent.check.deregister("beat");
    assert(!("beat" in (await client.agent.checks())));
    await assert.rejects(client.agent.check.pass("beat"), { statusCode: 404 });
  },

  async "a sidecar is found by whom it speaks for"() {
    await client.agent.service.register({ name: "mesh", port: 7, connect: { sidecar_service: {} } });
    assert.deepEqual((await client.catalog.connect.nodes("mesh")).map((found) => found.ServiceID), ["mesh-sidecar-proxy"]);
  },

  async "maintenance of a service and of the node"() {
    await client.agent.service.maintenance({ id: "web1", enable: true, reason: "upgrade" });
    assert.deepEqual(await ids({ service: "web", passing: true }), ["web2"]);
    await client.agent.service.maintenance({ id: "web1", enable: false });
    await client.agent.maintenance({ enable: true, reason: "reboot" });
    assert.deepEqual(await ids({ service: "web", passing: true }), []);
    await client.agent.maintenance(false);
    assert.deepEqual(await ids({ service: "web", passing: true }), ["web1", "web2"]);
  },

  async "the catalog is written directly"() {
    const node = { node: "far", address: "10.9.8.7", nodemeta: { rack: "r1" }, service: { service: "db", id: "db1", port: 5432 }, checks: [{ name: "alive", status: "passing", serviceid: "db1" }] };
    await client.catalog.register(node);
    assert.deepEqual((await client.catalog.nodes({ "node-meta": "rack:r1" })).map((found) => found.Address), ["10.9.8.7"]);
    assert.deepEqual(Object.keys((await client.catalog.node.services("far")).Services), ["db1"]);
    assert.deepEqual((await client.health.node("far")).map((check) => check.Status), ["passing"]);
    await client.catalog.deregister({ node: "far", serviceid: "db1" });
    await client.catalog.deregister("far");
    assert(!(await client.catalog.node.services("far")));
  },

  async "a watch tells of a new instance"() {
    const seen = await watched(
      { method: client.health.service, options: { service: "later", wait: "30s" }, backoffFactor: 100 },
      (entries) => entries.length === 1,
      () => client.agent.service.register({ name: "later", port: 4 }),
    );
    assert.equal(seen[0].Service.Port, 4);
  },

  async "a watch tells of a new name"() {
    const seen = await watched({ method: client.catalog.service.list, options: {} }, (names) => "newer" in names, () =>
      client.agent.service.register("newer"),
    );
    assert.deepEqual(seen.newer, []);
  },

  async "events are fired and listed"() {
    const fired = await client.event.fire({ name: "deploy", payload: "v2", service: "web" });
    const [event] = await until(async () => {
      const events = await client.event.list("deploy");
      return events.length ? events : undefined;
    });
    assert.deepEqual([event.ID, event.Payload, event.ServiceFilter], [fired.ID, "v2", "web"]);
  },

  async "an unknown data center, a stale and a consistent read"() {
    await assert.rejects(client.catalog.nodes({ dc: "dc9" }), /No path to datacenter/);
    for (const options of [{ stale: true }, { consistent: true }]) assert.equal((await client.catalog.nodes(options)).length, 1);
  },

  async "the agent is reloaded, joined and told to forget"() {
    await client.agent.reload();
    const [member] = await client.agent.members();
    await client.agent.join(member.Addr);
    await assert.rejects(client.agent.join("192.0.2.1"), { statusCode: 500 });
    await assert.rejects(client.agent.forceLeave("nobody"), { statusCode: 500 });
  },

  async "everything is deregistered"() {
    for (;;) {
      const [name] = Object.keys(await client.agent.services()).sort();
      if (name === undefined) break;
      await client.agent.service.deregister(name);
    }
    for (const id of Object.keys(await client.agent.checks())) await client.agent.check.deregister(id);
    assert.deepEqual({ ...(await client.catalog.services()) }, { consul: [] });
  },
};

for (const [story, told] of Object.entries(stories)) {
  let failed = "";
  try {
    await told();
  } catch (error) {
    failed = `${error.stack}`;
  }
  console.log(JSON.stringify({ story, failed }));
}
process.exit(0);
