import { useState } from 'preact/hooks';
import { get, refusedKey } from '../api/client.js';
import { html } from '../lib/html.js';
import { signIn } from '../lib/preferences.js';
import { useStore } from '../lib/store.js';
import { Mark } from '../parts/shell.js';

export function SignInPage() {
  const refused = useStore(refusedKey);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);

  /** @param {SubmitEvent & { currentTarget: HTMLFormElement }} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const key = String(form.get('key')).trim();
    setBusy(true);
    try {
      await get('/models?limit=1', { key });
      refusedKey.set('');
      signIn(key, form.get('remember') !== null);
    } catch (error) {
      setProblem(/** @type {Error} */ (error).message);
      setBusy(false);
    }
  };

  const shown = problem || refused;
  return html`
    <div class="door">
      <main class="card">
        <h1 class="row"><${Mark} />Graft</h1>
        <p>Fine-tune language models on your own machines. Enter an API key of this service to begin.</p>
        <form class="stack" onSubmit=${submit}>
          <div class="field">
            <label for="key">API key</label>
            <input id="key" name="key" type="password" required autocomplete="current-password" spellcheck=${false}
              aria-invalid=${shown !== ''} aria-describedby="key-hint key-problem" />
            <span class="hint" id="key-hint">The root key is in <code>ROOT_API_KEY</code> or in the file <code>DATA_DIR/api-key</code>.</span>
            <span class="problem" id="key-problem" role="alert">${shown}</span>
          </div>
          <label class="check"><input type="checkbox" name="remember" /> Remember it on this device</label>
          <button class="primary" disabled=${isBusy}>${isBusy ? 'Checking …' : 'Sign in'}</button>
        </form>
      </main>
    </div>`;
}
