import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { type GeneratedPiece, type GenerationModel, type GenerationRequest, GREEDY, openGenerationModel } from '../../../../workers/engine/index.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const ADAPTERS = ['all-linear', 'attention-rslora'];
const WARM = { temperature: 1.3, topP: 0.97, topK: 60, minP: 0.01 };
const hello = [{ role: 'user' as const, content: 'Hello', extra: new Map() }];

let model: GenerationModel;
let prompt: Int32Array;
let tensorsBefore: number;
beforeAll(async () => {
  tensorsBefore = tf.memory().numTensors;
  model = await openGenerationModel({ modelDir: referencePath('cases', 'llama-gqa-tied', 'model'), slots: 4 });
  for (const name of ADAPTERS) await model.addAdapter(name, referencePath('cases', 'llama-gqa-tied', 'adapters', name, 'adapter'));
  prompt = await model.conversation(hello, { adapter: null, tools: null });
});
afterAll(() => {
  model.dispose();
  expect(tf.memory().numTensors).toBe(tensorsBefore);
});

const request = (more: Partial<GenerationRequest> = {}): GenerationRequest => ({ ...GREEDY, prompt, adapter: null, maxTokens: 24, ...more });

describe('generate › with a seed', () => {
  it('gives the same tokens and probabilities to the bit, alone and beside other sequences of other lengths and adapters', async () => {
    const asked = [null, ...ADAPTERS].flatMap((adapter) => [1, 2].map((seed) => request({ ...WARM, adapter, seed, logprobs: 3 })));
    const alone = [];
    for (const one of asked) alone.push(await model.generate(one));
    const others = Array.from({ length: 5 }, (_, index) =>
      request({ ...WARM, seed: 100 + index, prompt: Int32Array.from([...prompt, ...prompt]).subarray(0, 4 + 5 * index), maxTokens: 3 + 4 * index }),
    );
    const together = await Promise.all([...others.slice(0, 2), ...asked, ...others.slice(2)].map((one) => model.generate(one)));
    expect(together.slice(2, 2 + asked.length)).toEqual(alone);
    expect(new Set(alone.map(({ tokenIds }) => tokenIds.join())).size).toBe(asked.length);
  });

  it('gives the same in a model that is opened anew', async () => {
    const again = await openGenerationModel({ modelDir: referencePath('cases', 'llama-gqa-tied', 'model') });
    expect(await again.generate(request({ ...WARM, seed: 5 }))).toEqual(await model.generate(request({ ...WARM, seed: 5 })));
    again.dispose();
  });
});

describe('generate › piece by piece', () => {
  it('gives in order what the whole answer has', async () => {
    const pieces: GeneratedPiece[] = [];
    const whole = await model.generate(request({ ...WARM, seed: 3, logprobs: 2, maxTokens: 40 }), { onPiece: (piece) => pieces.push(piece) });
    expect(pieces.map(({ text }) => text).join('')).toBe(whole.text);
    expect(pieces.flatMap(({ tokenIds }) => tokenIds)).toEqual(whole.tokenIds);
    expect(pieces.flatMap(({ logprobs }) => logprobs)).toEqual(whole.logprobs);
    expect(whole.promptTokens).toBe(prompt.length);
  });

  it('ends before a stop text', async () => {
    const { text } = await model.generate(request({ maxTokens: 40 }));
    const stop = text.slice(9, 12);
    expect(await model.generate(request({ maxTokens: 40, stop: [stop] }))).toMatchObject({
      text: text.slice(0, text.indexOf(stop)),
      finishReason: 'stop',
    });
  });

  it('reports the chosen token’s probability beside the most probable ones', async () => {
    const { logprobs, tokenIds } = await model.generate(request({ logprobs: 4 }));
    expect(logprobs.map(({ tokenId }) => tokenId)).toEqual(tokenIds);
    for (const { top, tokenId, logprob, text, bytes } of logprobs) {
      expect(top).toHaveLength(4);
      expect(top[0]).toEqual({ tokenId, logprob, text, bytes });
    }
  });
});

describe('generate › that cannot go on', () => {
  it('ends at the context, and refuses a prompt that fills it', async () => {
    const long = new Int32Array(model.contextTokens - 3).fill(9);
    const { tokenIds, finishReason } = await model.generate(request({ prompt: long, maxTokens: 50, logitBias: new Map([[20, 100]]) }));
    expect({ tokenIds, finishReason }).toEqual({ tokenIds: [20, 20, 20], finishReason: 'length' });
    await expect(model.generate(request({ prompt: new Int32Array(model.contextTokens) }))).rejects.toMatchObject({ code: 'invalid_prompt' });
    await expect(model.generate(request({ prompt: Int32Array.of(model.vocabularySize) }))).rejects.toMatchObject({ code: 'invalid_prompt' });
    await expect(model.generate(request({ prompt: new Int32Array() }))).rejects.toMatchObject({ code: 'invalid_prompt' });
  });

  it('rejects with the signal’s reason, and lets the others go on', async () => {
    const controller = new AbortController();
    const reason = new Error('the client went away');
    const pieces: GeneratedPiece[] = [];
    const onPiece = (piece: GeneratedPiece): void => {
      pieces.push(piece);
      controller.abort(reason);
    };
    const aborted = model.generate(request({ maxTokens: 60, ...WARM }), { onPiece, signal: controller.signal });
    const other = model.generate(request());
    await expect(aborted).rejects.toBe(reason);
    expect(pieces).toHaveLength(1);
    expect((await other).tokenIds).toEqual((await model.generate(request())).tokenIds);
  });

  it('keeps an adapter that is removed until no sequence uses it, and then frees it', async () => {
    const directory = referencePath('cases', 'llama-gqa-tied', 'adapters', ADAPTERS[0]!, 'adapter');
    const before = model.memoryBytes();
    await model.addAdapter('short-lived', directory);
    const held = model.memoryBytes() - before;
    const answer = model.generate(request({ adapter: 'short-lived' }));
    model.removeAdapter('short-lived');
    await expect(model.generate(request({ adapter: 'short-lived' }))).rejects.toThrow('short-lived');
    expect((await answer).tokenIds).toEqual((await model.generate(request({ adapter: ADAPTERS[0]! }))).tokenIds);
    expect(held).toBeGreaterThan(0);
    expect(model.memoryBytes()).toBe(before);
  });

  it('rejects when the model is closed', async () => {
    const closed = await openGenerationModel({ modelDir: referencePath('cases', 'llama-gqa-tied', 'model') });
    const [first, second] = [closed.generate(request()), closed.generate(request())];
    closed.dispose();
    await expect(first).rejects.toThrow('closed');
    await expect(second).rejects.toThrow('closed');
  });
});
