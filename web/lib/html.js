import htm from 'htm';
import { h } from 'preact';

/** Markup as a tagged template. Text in it is always text: nothing becomes markup that is not written here. */
export const html = /** @type {(strings: TemplateStringsArray, ...values: any[]) => import('preact').VNode<any>} */ (
  /** @type {unknown} */ (htm.bind(h))
);
