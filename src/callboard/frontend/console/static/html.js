// Preact and htm, joined: `html` makes elements. Whatever is put into one is text or an attribute, never markup.
import htm from './vendor/htm.js';
import { Component, createRef, h, render } from './vendor/preact.js';

export const html = htm.bind(h);
export { Component, createRef, render };
