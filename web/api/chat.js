import { send } from './client.js';
import { frameBatches } from './events.js';

/** @typedef {{ role: 'system' | 'user' | 'assistant', content: string }} Message */

/**
 * A model's answer, piece by piece as it is written.
 * @param {{ model: string, messages: Message[], temperature: number, max_completion_tokens: number }} request
 * @param {AbortSignal} signal
 */
export async function* answer(request, signal) {
  const response = await send('/chat/completions', {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...request, stream: true }),
  });
  for await (const frames of frameBatches(response)) {
    for (const { data } of frames) {
      if (!data.startsWith('{')) continue;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      const text = chunk.choices?.[0]?.delta?.content;
      if (typeof text === 'string') yield text;
    }
  }
}
