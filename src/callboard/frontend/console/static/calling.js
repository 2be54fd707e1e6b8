// How to call a service, and how to register the first one: lines that work when they are pasted, for this very server.
import { config } from './config.js';
import { html } from './html.js';
import { Code } from './parts.js';
import { store } from './store.js';
import { quoted } from './text.js';

const origin = location.origin;
const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i;
const ANY = new Set(['0.0.0.0', '[::]', '::']);

/** The command that asks DNS; empty when DNS does not listen or the name is none of its. */
function dig(service) {
  if (!config.dns || !LABEL.test(service) || store.route.namespace) return '';
  const at = config.dns.lastIndexOf(':');
  const host = config.dns.slice(0, at);
  return `dig @${ANY.has(host) ? location.hostname : host} -p ${config.dns.slice(at + 1)} ${service}.service.${config.domain} SRV`;
}

const python = (text) => JSON.stringify(text);
const connect = () => `callboard.connect(${python(origin)}${store.route.namespace ? `, namespace=${python(store.route.namespace)}` : ''})`;
const asked = () => (store.route.namespace ? `?namespace=${encodeURIComponent(store.route.namespace)}` : '');
const command = () => `CALLBOARD_URL=${quoted(origin)}${store.route.namespace ? ` CALLBOARD_NAMESPACE=${quoted(store.route.namespace)}` : ''} callboard`;

const sdk = (service) => `import callboard
from callboard.integrations.httpx import client

with ${connect()} as board:
    with client(board, base_url="svc://${service}") as http:
        print(http.get("/").status_code)`;

export function Calling({ service }) {
  const lines = [
    ['curl', `curl -s ${quoted(`${origin}/api/v1/resolve/${encodeURIComponent(service)}${asked()}`)}`],
    ['dig', dig(service)],
    ['callboard', `${command()} resolve ${quoted(service)}`],
    ['Consul clients', store.route.namespace ? '' : `curl -s ${quoted(`${origin}/v1/health/service/${encodeURIComponent(service)}?passing`)}`],
    ['Python', LABEL.test(service) ? sdk(service) : ''],
  ];
  return html`<section class="calling" aria-labelledby="calling"><h2 id="calling">How do I call this?</h2>
    <div class="codes">${lines.filter(([, text]) => text).map(([title, text]) => html`<${Code} key=${title} title=${title} text=${text} />`)}</div></section>`;
}

const signing = () => `import callboard

with ${connect()} as board, board.register("web", port=8080):
    ...  # serve on port 8080 here; it signs in when the port accepts`;

/** Nobody is here yet. */
export function Beginning() {
  const body = `{"service": "web", "port": 8080}`;
  return html`<div class="beginning">
    <h1>Nobody has signed in yet</h1>
    <p>Register the first service, in whichever way you like. It appears here at once.</p>
    <div class="codes">
      <${Code} heading="h2" title="curl" text=${`curl -X PUT ${quoted(`${origin}/api/v1/instances${asked()}`)} -d '${body}'`} />
      <${Code} heading="h2" title="callboard" text=${`${command()} register web --port 8080`} />
      <${Code} heading="h2" title="Python" text=${signing()} />
    </div>
  </div>`;
}
