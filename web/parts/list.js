import { useRef } from 'preact/hooks';
import { html } from '../lib/html.js';

/** @param {{ what: string, onClick: () => void }} props */
export const Remove = ({ what, onClick }) =>
  html`<div><button type="button" class="plain danger" onClick=${onClick}>Remove<span class="unseen"> ${what}</span></button></div>`;

/**
 * A list that grows and shrinks. What is added has the focus, and so has the button that adds when something goes.
 * @template T @param {T[]} items @param {(items: T[]) => void} change
 */
export function useList(items, change) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  /** Once it has been drawn. @param {string} selector */
  const focus = (selector) => setTimeout(() => /** @type {HTMLElement | null} */ (box.current?.querySelector(selector))?.focus());
  return {
    box,
    /** @param {number} index @param {T} item */
    set: (index, item) => change(items.map((known, at) => (at === index ? item : known))),
    /** @param {T} item */
    add(item) {
      change([...items, item]);
      focus('fieldset:last-of-type :is(textarea, select)');
    },
    /** @param {number} index */
    remove(index) {
      change(items.filter((_, at) => at !== index));
      focus('.add');
    },
  };
}
