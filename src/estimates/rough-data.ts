/** How much there is to learn in a file, without a tokenizer: by the length of its texts. */
import { parseJsonLine } from '../formats/json-line.ts';
import { splitLines } from '../formats/lines.ts';
import { isRecord } from '../formats/record.ts';
import { Refusal } from '../formats/refusal.ts';
import type { ObjectStore } from '../object-store/object-store.ts';

/** Read of a file: a second's work, and a fair sample of a larger one. */
const MAX_READ_BYTES = 16 * 2 ** 20;
/** Of English text in the vocabularies of current models. */
const CHARACTERS_OF_TOKEN = 4;
/** What a chat template adds to a message. */
const TOKENS_OF_MESSAGE = 5;

const WHERE = { code: 'invalid_training_file', param: 'training_file' };

export interface RoughData {
  examples: number;
  tokens: number;
  longestTokens: number;
}

/** @throws Refusal for what is not a file of lines */
export async function roughData(
  { storageKey, sizeBytes }: { storageKey: string; sizeBytes: number },
  { objectStore }: { objectStore: ObjectStore },
): Promise<RoughData> {
  const read = { examples: 0, tokens: 0, longestTokens: 0, bytes: 0 };
  const stream = await objectStore.get(storageKey);
  try {
    for await (const line of splitLines(stream, WHERE)) {
      if ('refusal' in line) throw line.refusal;
      const { number, text } = line;
      const example = parseJsonLine(text, (problem, hint) => new Refusal(WHERE.code, `line ${number} ${problem}`, { param: WHERE.param, hint }));
      const tokens = roughTokens(example);
      read.examples += 1;
      read.tokens += tokens;
      read.longestTokens = Math.max(read.longestTokens, tokens);
      read.bytes += Buffer.byteLength(text) + 1;
      if (read.bytes >= MAX_READ_BYTES) break;
    }
  } finally {
    stream.destroy();
  }
  const whole = read.bytes >= MAX_READ_BYTES ? Math.max(1, sizeBytes / read.bytes) : 1;
  return { examples: Math.round(read.examples * whole), tokens: Math.round(read.tokens * whole), longestTokens: read.longestTokens };
}

/** Of all its texts; roles are part of what the template adds, and a teacher's log-probabilities are no text. */
function roughTokens(example: unknown): number {
  let characters = 0;
  let messages = 0;
  const waiting = [example];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value === 'string') characters += value.length;
    else if (Array.isArray(value)) waiting.push(...value);
    else if (isRecord(value)) {
      const { role, logprobs: _, ...texts } = value;
      if (role !== undefined) messages += 1;
      waiting.push(...Object.values(texts));
    }
  }
  return Math.ceil(characters / CHARACTERS_OF_TOKEN) + TOKENS_OF_MESSAGE * messages;
}
