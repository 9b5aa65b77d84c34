import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client.js';
import { html } from '../lib/html.js';

/** What is wrong with a form, and with which field of the request. @typedef {{ message: string, param: string | null }} Refused */

/** @returns what sends a form, why it could not be sent, and whether it is on its way */
export function useSending() {
  const [refused, setRefused] = useState(/** @type {Refused | null} */ (null));
  const [isBusy, setBusy] = useState(false);
  /** @param {Refused | null} found what keeps it from being sent @param {() => Promise<unknown>} action */
  const send = async (found, action) => {
    setRefused(found);
    if (found !== null) return;
    setBusy(true);
    try {
      await action();
    } catch (error) {
      setRefused({ message: /** @type {Error} */ (error).message, param: error instanceof ApiError ? error.param : null });
      setBusy(false);
    }
  };
  return { refused, isBusy, send };
}

/** Why a form was refused, where reading goes on. @param {{ refused: Refused | null }} props */
export function Refusal({ refused }) {
  const alert = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => alert.current?.focus(), [refused]);
  return refused && html`<div class="note is-error" role="alert" tabindex="-1" ref=${alert}>${refused.message}</div>`;
}

/** What was refused of the field with this name, or of an entry of its list; empty: nothing. @param {Refused | null} refused @param {string} name */
export const refusalOf = (refused, name) =>
  refused?.param
    ?.replace(/(\.\d+)+$/, '')
    .split('.')
    .at(-1) === name
    ? refused.message
    : '';

/** The same by the whole way to the field, or to what is in it. @param {Refused | null} refused @param {string} path */
export const refusalAt = (refused, path) => (refused?.param === path || refused?.param?.startsWith(`${path}.`) ? refused.message : '');

/** A refusal of what is inside of a field, as that alone would be refused; null: of something else. @param {Refused | null} refused @param {string} name @returns {Refused | null} */
export function refusedIn(refused, name) {
  const { message, param } = refused ?? {};
  return message !== undefined && param?.startsWith(`${name}.`) ? { message, param: param.slice(name.length + 1) } : null;
}
