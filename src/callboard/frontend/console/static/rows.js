// A table of thousands of rows of which only those in sight are made. The page itself scrolls. Arrow keys go from row to row.
import { Component, createRef, html } from './html.js';
import { Head } from './parts.js';

const SPARE = 8; // rows made beyond each edge
const LEAST = 30; // rows made before anything is measured

/** Height of a row in pixels, as the style sheet has it for this width. */
const rowHeight = () => Number.parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--row'));

export class Rows extends Component {
  constructor() {
    super();
    this.state = { first: 0, last: LEAST };
    this.body = createRef();
    this.height = rowHeight();
    this.wanted = -1; // row to be focused when it is made
    this.held = ''; // key of the row that has the focus
    this.measure = this.measure.bind(this);
    this.resized = () => {
      this.height = rowHeight();
      this.measure();
    };
  }

  componentDidMount() {
    window.addEventListener('scroll', this.measure, { passive: true });
    window.addEventListener('resize', this.resized);
    Rows.now = this;
    this.measure();
  }

  componentWillUnmount() {
    window.removeEventListener('scroll', this.measure);
    window.removeEventListener('resize', this.resized);
    if (Rows.now === this) Rows.now = null;
  }

  componentDidUpdate() {
    this.measure();
    this.focus();
  }

  measure() {
    const top = this.body.current.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / this.height) - SPARE);
    const last = Math.max(first + 1, Math.ceil((window.innerHeight - top) / this.height) + SPARE);
    if (first !== this.state.first || last !== this.state.last) this.setState({ first, last });
  }

  /** Give the focus to the row that was asked for; or back to the one that lost it by being moved. */
  focus() {
    const lost = this.held && document.activeElement === document.body;
    const selector = this.wanted >= 0 ? `[data-row="${this.wanted}"]` : lost ? `[data-key="${CSS.escape(this.held)}"]` : '';
    const found = selector && this.body.current.querySelector(selector);
    if (!found) return;
    this.wanted = -1;
    found.focus({ preventScroll: true });
  }

  /** Go `by` rows on from the one that has the focus, or to the first. */
  step(by) {
    const at = document.activeElement?.closest?.('[data-row]');
    const row = Math.min(this.props.rows.length - 1, at ? Number(at.dataset.row) + by : 0);
    if (row < 0) return false;
    const top = this.body.current.getBoundingClientRect().top + row * this.height;
    const head = document.querySelector('.bar-top')?.getBoundingClientRect().bottom ?? 0;
    const over = top - head - this.height;
    const under = top + 2 * this.height - window.innerHeight;
    if (over < 0) window.scrollBy(0, over);
    else if (under > 0) window.scrollBy(0, under);
    this.wanted = row;
    this.measure();
    this.forceUpdate();
    return true;
  }

  render({ rows, row, columns, label, kind, aim }) {
    const last = Math.min(rows.length, this.state.last);
    const first = Math.min(this.state.first, last);
    const space = { paddingTop: `${first * this.height}px`, paddingBottom: `${(rows.length - last) * this.height}px` };
    return html`<div role="table" class="rows ${kind}" aria-label=${label} aria-rowcount=${rows.length + 1} aria-colcount=${columns.length}>
      <${Head} columns=${columns} />
      <div role="rowgroup" class="body" ref=${this.body} style=${space}
          onFocusIn=${(event) => (this.held = event.target.closest('[data-key]')?.dataset.key ?? '')} onPointerDown=${() => (this.held = '')} onPointerMove=${aim}>
        ${rows.slice(first, last).map((each, at) => row(each, first + at))}
      </div>
    </div>`;
  }
}
Rows.now = null; // the table that is shown
