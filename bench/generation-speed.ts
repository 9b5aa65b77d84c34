/**
 * `node --import tsx bench/generation-speed.ts --model DIR --precision f32|bf16 --sequences 1 --prompt 128 --tokens 64`: measures generation and prints
 * one JSON line. All sequences are asked for at once, and take the most probable token each time.
 */
import { parseArgs } from 'node:util';
import { GREEDY, openGenerationModel } from '../workers/engine/index.ts';
import { peakMemoryMb } from './measures.ts';
import { precisionOf } from './smollm.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    sequences: { type: 'string', default: '1' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '64' },
  },
});
if (options.model === undefined) throw new Error('--model names no directory');
const [sequences, promptTokens, tokens] = [options.sequences, options.prompt, options.tokens].map(Number) as [number, number, number];

const model = await openGenerationModel({ modelDir: options.model, precision: precisionOf(options.precision), slots: sequences });
const prompts = Array.from({ length: sequences }, (_, row) =>
  Int32Array.from({ length: promptTokens }, (_, index) => (row * 7919 + index * 104729) % model.vocabularySize),
);

/** @returns the seconds that so many tokens of every sequence take. @throws Error if an answer ends before */
async function seconds(maxTokens: number): Promise<number> {
  const startedMs = performance.now();
  const answers = await Promise.all(prompts.map((prompt) => model.generate({ ...GREEDY, prompt, adapter: null, maxTokens })));
  const ended = answers.find(({ tokenIds }) => tokenIds.length < maxTokens);
  if (ended !== undefined) throw new Error(`an answer ended after ${ended.tokenIds.length} tokens`);
  return (performance.now() - startedMs) / 1000;
}

await seconds(2);
const prefill = await seconds(1);
const whole = await seconds(1 + tokens);
model.dispose();
console.log(
  JSON.stringify({
    prefillPerSecond: (sequences * promptTokens) / prefill,
    decodePerSecond: (sequences * tokens) / (whole - prefill),
    peakMemoryMb: peakMemoryMb(),
  }),
);
