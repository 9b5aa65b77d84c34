import { useEffect, useRef } from 'preact/hooks';
import { html } from '../lib/html.js';

/**
 * Asks before something that cannot be undone.
 * @param {{ title: string, action: string, onConfirm: () => void, onCancel: () => void, children?: any }} props
 */
export function Confirm({ title, action, onConfirm, onCancel, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => dialog.current?.showModal(), []);
  return html`
    <dialog ref=${dialog} aria-labelledby="confirm-title" onClose=${onCancel}>
      <form method="dialog" class="stack">
        <h2 id="confirm-title">${title}</h2>
        ${children}
        <div class="row">
          <button type="button" class="danger" onClick=${onConfirm}>${action}</button>
          <button>Keep it</button>
        </div>
      </form>
    </dialog>`;
}
