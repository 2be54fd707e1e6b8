// What stands around every view: the bar at the top, and the banner that tells when what is shown may be old.
import { html } from './html.js';
import { Icon } from './parts.js';
import { invalidate, store, to } from './store.js';
import { ago, date, span, time } from './text.js';

const THEMES = ['system', 'light', 'dark'];
const MOONS = { system: 'M8 2.5a5.5 5.5 0 0 1 0 11Z', light: '', dark: 'M2.5 8a5.5 5.5 0 0 0 11 0 5.5 5.5 0 0 0-11 0Z' };
const VIEWS = [['services', 'Services'], ['nodes', 'Nodes'], ['members', 'Members']];
const OF = { service: 'services', node: 'nodes' };
const WORDS = { live: 'live', connecting: 'connecting', cut: 'cut off', asleep: 'asleep' };

export function Frame({ children }) {
  const { route, link, status } = store;
  const at = OF[route.page] ?? route.page;
  return html`<a class="skip" href="#main">Skip to the content</a>
    <header class="bar-top">
      <a class="brand" href=${to({})}><svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
        <rect x="3" y="4" width="26" height="24" rx="4" /><path d="M9 11h8M9 16h12M9 21h6" /></svg>Callboard</a>
      <nav aria-label="Views">
        ${VIEWS.map(([page, title]) => html`<a key=${page} href=${to({ page })} aria-current=${page === at ? 'page' : null}>${title}</a>`)}</nav>
      <span class="where">${status && html`<span class="dim">${status.datacenter}</span>`}
        ${route.namespace && html` <span class="tag">namespace ${route.namespace}</span>`}</span>
      <span class="link is-${link.state}"><span class="dot" aria-hidden="true"></span>${WORDS[link.state]}</span>
      <button type="button" class="theme" onClick=${turnTheme} aria-label=${`Theme: ${store.theme}. Change it`} title=${`Theme: ${store.theme}`}>
        <${Icon} d="M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z"><path class="filled" d=${MOONS[store.theme]} /><//>
        <span class="theme-name">${store.theme}</span></button>
    </header>
    <div role="status" class="banners">${banner()}</div>
    <main id="main" tabindex="-1">${children}</main>
    <footer class="dim"><span>${status ? `Callboard ${status.version}` : 'Callboard'}</span><span>revision ${store.catalog.revision}</span>
      <span class="keys"><kbd>/</kbd> search <kbd>↑</kbd> <kbd>↓</kbd> rows <kbd>Enter</kbd> open <kbd>Esc</kbd> back</span></footer>`;
}

function banner() {
  const { link, status } = store;
  if (link.state === 'cut') {
    const since = new Date(link.since);
    return html`<div class="banner is-critical"><span><b>Stale since <time datetime=${since.toISOString()} title=${date(since)}>${time(since)}</time>:</b>${' '}
      ${link.reason}; heard last ${ago(link.since, Date.now())}. Trying again ...</span>
      <button type="button" onClick=${() => link.retry()}>try now</button></div>`;
  }
  if (status?.age_ms > 0) return html`<div class="banner is-warning">This server is out of touch with the leader: what you see may be ${span(status.age_ms)} old.</div>`;
  return null;
}

function turnTheme() {
  store.theme = THEMES[(THEMES.indexOf(store.theme) + 1) % THEMES.length];
  const root = document.documentElement;
  if (store.theme === 'system') delete root.dataset.theme;
  else root.dataset.theme = store.theme;
  try {
    localStorage.setItem('callboard-theme', store.theme);
  } catch {
    // storage is forbidden here: it holds as long as the page
  }
  invalidate();
}
