import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { SLOW_MS, type Walk } from './walk.ts';

const TOKENS = 24;

interface Message {
  role: 'user' | 'assistant';
  content: string;
}

/** The chat page, compared with what the API answers without a stream. */
export function walkChat(walk: () => Walk): void {
  it('chats with a tuned model as it writes, and then with its base beside it', { timeout: 2 * SLOW_MS }, async () => {
    const { api, jobId, open } = walk();
    const tuned = (await api.job(jobId)).fine_tuned_model!;
    const page = await open(`chat?model=${encodeURIComponent(tuned)}`);
    await page.getByText('Settings').click();
    for (const [label, value] of [
      ['Temperature', '0'],
      ['Longest answer', String(TOKENS)],
    ] as const) {
      await page.getByLabel(label).fill(value);
      await page.keyboard.press('Tab');
    }
    await page.evaluate(NOTE_WHAT_IS_SHOWN);
    const first = await say(page, 'Question 3?', 1);
    const seen = (await page.evaluate('seen')) as string[];
    expect(seen.length).toBeGreaterThan(2);
    for (const [index, text] of seen.entries()) if (index > 0) expect(text.startsWith(seen[index - 1]!)).toBe(true);
    expect(first).toEqual([await answerOf(tuned, [{ role: 'user', content: 'Question 3?' }])]);

    await page.getByRole('button', { name: 'Second model beside it' }).click();
    const second = page.getByRole('region', { name: 'Conversation 2' });
    expect(await second.getByLabel('Model').inputValue()).toBe('tiny');
    const both = await say(page, 'Question 4?', 3);
    const history: Message[] = [
      { role: 'user', content: 'Question 3?' },
      { role: 'assistant', content: first[0]! },
      { role: 'user', content: 'Question 4?' },
    ];
    expect(both).toEqual([first[0], await answerOf(tuned, history), await answerOf('tiny', history.slice(-1))]);
  });

  async function answerOf(model: string, messages: Message[]): Promise<string> {
    const body = { model, messages, temperature: 0, max_completion_tokens: TOKENS };
    const { choices } = await walk().api.post<{ choices: { message: { content: string } }[] }>('/chat/completions', body);
    return choices[0]!.message.content;
  }
}

/** Sends a message with the keyboard. @returns all answers on the page once there are that many and they are complete */
async function say(page: Page, text: string, answers: number): Promise<string[]> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  await page.getByRole('button', { name: 'Send' }).waitFor();
  const said = page.locator('.said.is-assistant');
  expect(await said.count()).toBe(answers);
  return (await said.allTextContents()).map((content) => content.replace('The model: ', ''));
}

/** Keeps each text that an answer has had, except the empty one. */
const NOTE_WHAT_IS_SHOWN = `
  globalThis.seen = [];
  new MutationObserver(() => {
    const text = document.querySelector('.said.is-assistant')?.lastChild.textContent ?? '…';
    if (text !== '…' && seen.at(-1) !== text) seen.push(text);
  }).observe(document.querySelector('.chat-columns'), { subtree: true, childList: true, characterData: true });
`;
