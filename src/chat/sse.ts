/** Server-sent events as OpenAI's clients read them. */
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { KEEP_ALIVE_EVERY_MS, STILL_HERE } from '../http/keep-alive.ts';

/** The end of a stream of completions. */
export const DONE = 'data: [DONE]\n\n';

export const dataOf = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
export const eventOf = (value: { type: string; [field: string]: unknown }): string => `event: ${value.type}\n${dataOf(value)}`;

/**
 * @param failed what is sent when the rest does not come: the answer's status has been sent by then
 */
export function streamOf(texts: AsyncGenerator<string>, failed: (error: unknown) => string): Readable {
  async function* all(): AsyncGenerator<string> {
    try {
      let next = texts.next();
      for (;;) {
        const cut = new AbortController();
        const waited = delay(KEEP_ALIVE_EVERY_MS, null, { signal: cut.signal }).catch(() => null);
        const step = await Promise.race([next, waited]);
        cut.abort();
        if (step === null) yield STILL_HERE;
        else if (step.done === true) return;
        else {
          yield step.value;
          next = texts.next();
        }
      }
    } catch (error) {
      yield failed(error);
    }
  }
  return Readable.from(all());
}
