import { useEffect, useRef, useState } from 'preact/hooks';
import { answer } from '../api/chat.js';
import { useResource } from '../api/use-resource.js';
import { announce } from '../lib/announce.js';
import { html } from '../lib/html.js';
import { Head } from '../parts/shell.js';
import { Resource } from '../parts/state.js';
import { isTuned, loadModels } from './models.js';

/** @typedef {import('../api/types.d.ts').Model} Model */
/** @typedef {import('../api/types.d.ts').List<Model>} ModelList */
/** @typedef {import('../api/chat.js').Message} Message */
/** @typedef {{ model: string, messages: Message[], problem: string }} Talk */

const MOST_TOKENS = 256;

/** @param {{ model: string | null }} props */
export function ChatPage({ model }) {
  const models = useResource(loadModels, []);
  return html`
    <${Head} title="Chat" note="Talk to one model, or to two side by side." />
    <${Resource} of=${models}>
      ${(/** @type {ModelList} */ { data }) => html`<${Talks} models=${data} first=${model ?? data.find(isTuned)?.id ?? data[0]?.id ?? ''} />`}
    <//>`;
}

/** @param {{ models: Model[], first: string }} props */
function Talks({ models, first }) {
  const [talks, setTalks] = useState(/** @type {Talk[]} */ ([{ model: first, messages: [], problem: '' }]));
  const [system, setSystem] = useState('');
  const [temperature, setTemperature] = useState(0.7);
  const [maxTokens, setMaxTokens] = useState(MOST_TOKENS);
  const [stopping, setStopping] = useState(/** @type {AbortController | null} */ (null));
  const composer = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  useEffect(() => () => stopping?.abort(), [stopping]);

  /** @param {number} index @param {(talk: Talk) => Talk} change */
  const changeTalk = (index, change) => setTalks((all) => all.map((talk, at) => (at === index ? change(talk) : talk)));

  /** @param {Talk} talk @param {number} index @param {string} text @param {AbortSignal} signal */
  async function ask(talk, index, text, signal) {
    /** @type {Message[]} */
    const messages = [...talk.messages.filter(({ content }) => content !== ''), { role: 'user', content: text }];
    changeTalk(index, (before) => ({ ...before, messages: [...messages, { role: 'assistant', content: '' }], problem: '' }));
    const sent = /** @type {Message[]} */ (system.trim() === '' ? messages : [{ role: 'system', content: system }, ...messages]);
    try {
      let said = '';
      for await (const piece of answer({ model: talk.model, messages: sent, temperature, max_completion_tokens: maxTokens }, signal)) {
        said += piece;
        changeTalk(index, (before) => ({ ...before, messages: [...messages, { role: 'assistant', content: said }] }));
      }
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      if (!signal.aborted) changeTalk(index, (before) => ({ ...before, problem: message }));
    }
  }

  const submit = async () => {
    const text = composer.current?.value.trim() ?? '';
    if (text === '' || stopping !== null) return;
    if (composer.current !== null) composer.current.value = '';
    const ended = new AbortController();
    setStopping(ended);
    await Promise.all(talks.map((talk, index) => ask(talk, index, text, ended.signal)));
    setStopping(null);
    announce(talks.length === 1 ? 'The answer is complete.' : 'The answers are complete.');
    composer.current?.focus();
  };

  /** @param {KeyboardEvent} event */
  const keyDown = (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void submit();
  };

  const second = models.find(({ id }) => id === models.find((model) => model.id === first)?.base_model)?.id ?? models[0]?.id ?? '';
  return html`
    <div class="row">
      ${
        talks.length === 1
          ? html`<button type="button" onClick=${() => setTalks([...talks, { model: second, messages: [], problem: '' }])}>Second model beside it</button>`
          : html`<button type="button" onClick=${() => setTalks(talks.slice(0, 1))}>One model only</button>`
      }
      <button type="button" onClick=${() => setTalks(talks.map((talk) => ({ ...talk, messages: [], problem: '' })))}>New conversation</button>
    </div>
    <div class="chat-columns">
      ${talks.map((talk, index) => html`<${Column} key=${index} number=${index + 1} talk=${talk} models=${models} isBusy=${stopping !== null} onModel=${(/** @type {string} */ model) => changeTalk(index, (before) => ({ ...before, model }))} />`)}
    </div>
    <form class="card" onSubmit=${(/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void submit();
    }}>
      <div class="composer">
        <div class="field">
          <label for="message">Message</label>
          <textarea id="message" ref=${composer} rows="2" placeholder="Enter sends, Shift and Enter begin a new line" onKeyDown=${keyDown}></textarea>
        </div>
        ${stopping === null ? html`<button class="primary">Send</button>` : html`<button type="button" onClick=${() => stopping.abort()}>Stop</button>`}
      </div>
      <details class="small">
        <summary>Settings</summary>
        <div class="fields">
          <div class="field"><label for="temperature">Temperature</label>
            <input id="temperature" inputmode="decimal" value=${temperature} onChange=${(/** @type {any} */ { currentTarget }) => setTemperature(Number(currentTarget.value) || 0)} />
            <span class="hint">0 always takes the likeliest word.</span></div>
          <div class="field"><label for="max-tokens">Longest answer</label>
            <input id="max-tokens" inputmode="numeric" value=${maxTokens} onChange=${(/** @type {any} */ { currentTarget }) => setMaxTokens(Math.max(1, Math.trunc(Number(currentTarget.value)) || MOST_TOKENS))} />
            <span class="hint">In tokens.</span></div>
          <div class="field"><label for="system">System message</label>
            <textarea id="system" rows="2" value=${system} onInput=${(/** @type {any} */ { currentTarget }) => setSystem(currentTarget.value)}></textarea></div>
        </div>
      </details>
    </form>`;
}

/** @param {{ number: number, talk: Talk, models: Model[], isBusy: boolean, onModel: (model: string) => void }} props */
function Column({ number, talk, models, isBusy, onModel }) {
  const isListed = models.some(({ id }) => id === talk.model);
  return html`
    <section class="card" aria-label=${`Conversation ${number}`}>
      <div class="field">
        <label for=${`model-${number}`}>Model</label>
        <select id=${`model-${number}`} value=${talk.model} onChange=${(/** @type {any} */ { currentTarget }) => onModel(currentTarget.value)}>
          ${!isListed && html`<option value=${talk.model}>${talk.model}</option>`}
          ${models.map(({ id }) => html`<option value=${id}>${id}</option>`)}
        </select>
      </div>
      <div role="log" aria-busy=${isBusy} aria-label=${`Messages with ${talk.model}`}>
      <ol class="talk">
        ${talk.messages.length === 0 && html`<li class="quiet">Ask it something that your examples teach, and something that they do not.</li>`}
        ${talk.messages.map(
          ({ role, content }) =>
            html`<li class="said is-${role}"><span class="unseen">${role === 'user' ? 'You' : 'The model'}: </span>${content === '' ? (isBusy ? '…' : '(nothing)') : content}</li>`,
        )}
      </ol>
      </div>
      ${talk.problem && html`<p class="note is-error" role="alert">${talk.problem}</p>`}
    </section>`;
}
