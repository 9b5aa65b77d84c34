import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Generator, pick } from '../../../workers/engine/generate.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';

const reference = (path: string) => fileURLToPath(new URL(`../../fixtures/reference/cases/llama-gqa-tied/${path}`, import.meta.url));
const options = { maxTokens: 8, temperature: 0, seed: 0 };
const hello = [{ role: 'user' as const, content: 'Hello' }];

let generator: Generator;
let tensorsBefore: number;

beforeAll(async () => {
  tensorsBefore = tf.memory().numTensors;
  generator = await Generator.open({ modelDir: reference('model') });
});
afterAll(() => {
  generator.dispose();
  expect(tf.memory().numTensors).toBe(tensorsBefore);
});

describe('generate › greedily', () => {
  it('takes the most probable token each time', async () => {
    const { tokenIds, finishReason } = await generator.chat(hello, options);
    const prompt = (await generator.tokenizer.encode('<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n', { addSpecialTokens: false })).ids;
    const ids = [...prompt];
    for (const id of tokenIds) {
      const logits = generator.model.nextTokenLogits(Int32Array.from(ids));
      expect(id).toBe(logits.indexOf(Math.max(...logits)));
      ids.push(id);
    }
    expect(finishReason).toBe(tokenIds.length === 8 ? 'length' : 'stop');
  });

  it('gives another answer with an adapter', async () => {
    const adapted = await Generator.open({ modelDir: reference('model'), adapterDir: reference('adapters/all-linear/adapter') });
    expect((await adapted.chat(hello, options)).tokenIds).not.toEqual((await generator.chat(hello, options)).tokenIds);
    adapted.dispose();
  });

  it('stops at the model’s context length', async () => {
    const { max_position_embeddings: limit } = JSON.parse(await readFile(reference('model/config.json'), 'utf8')) as {
      max_position_embeddings: number;
    };
    const { tokenIds } = await generator.complete('x '.repeat(60), { ...options, maxTokens: 500 });
    const prompt = (await generator.tokenizer.encode('x '.repeat(60), { addSpecialTokens: true })).ids;
    expect(prompt.length + tokenIds.length).toBeLessThanOrEqual(limit);
  });

  it('refuses a prompt longer than the model’s context', async () => {
    await expect(generator.complete('word '.repeat(500), options)).rejects.toMatchObject({ code: 'invalid_prompt' });
  });
});

describe('generate › with a temperature', () => {
  it('gives the same text for the same seed and another for another seed', async () => {
    const warm = { ...options, temperature: 2 };
    const { tokenIds } = await generator.chat(hello, warm);
    expect((await generator.chat(hello, warm)).tokenIds).toEqual(tokenIds);
    expect((await generator.chat(hello, { ...warm, seed: 1 })).tokenIds).not.toEqual(tokenIds);
  });

  it('samples from softmax(logits / temperature)', () => {
    const logits = Float32Array.of(0, 2 * Math.log(3), Number.NEGATIVE_INFINITY); // at temperature 2: 1/4, 3/4, 0
    expect(pick(logits, 2, () => 0.2499)).toBe(0);
    expect(pick(logits, 2, () => 0.2501)).toBe(1);
    expect(pick(logits, 2, () => 0.9999)).toBe(1);
    expect(pick(logits, 0, () => 0)).toBe(1);
  });
});
