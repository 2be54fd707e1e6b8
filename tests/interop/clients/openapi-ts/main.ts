// The story of one instance, told through a client that was generated from the server's own description.
// Argument: the server's URL. Output: one JSON object with what was seen. Any error ends it with another exit code than 0.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Problem = components["schemas"]["Problem"];
type InstanceEvent = components["schemas"]["InstanceEvent"];

const url = process.argv[2];
if (url === undefined) throw new Error("usage: main.js URL");
const api = createClient<paths>({ baseUrl: url });

function there<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

async function firstEvent(service: string): Promise<{ event: string; data: InstanceEvent }> {
  const leaving = new AbortController();
  const { data, response } = await api.GET("/api/v1/watch", {
    params: { query: { service: [service] } },
    parseAs: "stream",
    signal: leaving.signal,
  });
  if (!data) throw new Error(`${response.status}`);
  const reader = data.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const found = /^event: (\w+)\ndata: (.*)\n\n/m.exec(text);
    if (found?.[1] !== undefined && found[2] !== undefined) {
      await reader.cancel();
      leaving.abort();
      return { event: found[1], data: JSON.parse(found[2]) as InstanceEvent };
    }
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended with ${text}`);
    text += value;
  }
}

async function endpoints(service: string): Promise<string[]> {
  const query = { passing_only: true, tag: ["typed"], prefer: "latest" as const };
  const answer = there(await api.GET("/api/v1/resolve/{service}", { params: { path: { service }, query } }));
  return answer.endpoints.map((endpoint) => `${endpoint.address}:${endpoint.port} ${endpoint.version}`);
}

async function problemOf(answer: Promise<{ error?: Problem; response: Response }>): Promise<Pick<Problem, "status" | "code" | "field">> {
  const { error, response } = await answer;
  if (error === undefined) throw new Error(`${response.status} is no error`);
  return { status: error.status, code: error.code, ...(error.field === undefined ? {} : { field: error.field }) };
}

const path = { id: "ts/1" };
const written = there(
  await api.PUT("/api/v1/instances", {
    body: {
      service: "typescript", id: path.id, address: "192.0.2.1", port: 8080, tags: ["typed"], meta: { version: "1.2.3" },
      checks: [{ ttl_ms: 60_000, status: "warning" }],
    },
  }),
);
const warned = await endpoints("typescript");
const beat = there(await api.PUT("/api/v1/heartbeat/{id}", { params: { path }, body: { status: "passing", output: "fine" } }));
const found = await endpoints("typescript");
const event = await firstEvent("typescript");
const read = await api.GET("/api/v1/instances/{id}", { params: { path } });
const instance = there(read);
there(await api.PUT("/api/v1/drain/{id}", { params: { path } }));
const drained = await endpoints("typescript");
there(await api.DELETE("/api/v1/drain/{id}", { params: { path } }));
const shown = await endpoints("typescript");
const beats = there(await api.POST("/api/v1/heartbeats", { body: { beats: [{ id: path.id }, { id: "nobody" }] } }));
const misspelled = { service: "typescript", prot: 1 };
const refused = await problemOf(api.PUT("/api/v1/instances", { body: misspelled }));
there(await api.DELETE("/api/v1/instances/{id}", { params: { path } }));
const gone = await problemOf(api.PUT("/api/v1/heartbeat/{id}", { params: { path } }));

console.log(
  JSON.stringify({
    written: { id: written.id, service: written.service, changed: written.changed },
    warned, turned: beat.changed, found,
    event: { event: event.event, id: event.data.instance.id, status: event.data.instance.status },
    instance: { status: instance.status, outputs: instance.checks.map((check) => check.output).filter((output) => output === "fine") },
    index: Number(read.response.headers.get("callboard-index")) >= instance.modified,
    drained, shown, renewed: beats.renewed, unknown: beats.unknown.map((one) => `${one.id} ${one.reason}`), refused, gone,
  }),
);
