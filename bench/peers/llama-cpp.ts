/**
 * Measures generation with llama.cpp, through node-llama-cpp, to compare with bench/generation-speed.ts:
 *
 *     node --import tsx bench/peers/llama-cpp.ts --library URL --model GGUF --sequences 1 --prompt 128 --tokens 64      prints one JSON line
 *
 * Prompts and the most probable tokens of several sequences are computed together, as node-llama-cpp does by itself.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { peakMemoryMb } from '../measures.ts';

/** The part of node-llama-cpp that is used here. */
interface Library {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<Model>; dispose(): Promise<void> }>;
}
interface Model {
  createContext(options: object): Promise<{ getSequence(): Sequence }>;
}
interface Sequence {
  evaluate(tokens: readonly number[], options: { temperature: number; yieldEogToken: boolean }): AsyncGenerator<number>;
  clearHistory(): Promise<void>;
}

const { values: options } = parseArgs({
  options: {
    library: { type: 'string' },
    model: { type: 'string' },
    sequences: { type: 'string', default: '1' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '64' },
  },
});
const [count, promptTokens, tokens] = [options.sequences, options.prompt, options.tokens].map(Number) as [number, number, number];
const threads = availableParallelism();

const { getLlama } = (await import(options.library!)) as Library;
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false, maxThreads: threads });
const model = await llama.loadModel({ modelPath: options.model, gpuLayers: 0 });
const context = await model.createContext({
  sequences: count,
  contextSize: promptTokens + tokens + 2,
  batchSize: count * promptTokens,
  threads: { ideal: threads, min: threads },
});
const sequences = Array.from({ length: count }, () => context.getSequence());
const prompts = sequences.map((_, row) => Array.from({ length: promptTokens }, (_, index) => (row * 7919 + index * 104729) % 49152));

/** @returns the seconds that so many tokens of every sequence take */
async function seconds(wanted: number): Promise<number> {
  for (const sequence of sequences) await sequence.clearHistory();
  const startedMs = performance.now();
  await Promise.all(
    sequences.map(async (sequence, row) => {
      let generated = 0;
      for await (const _ of sequence.evaluate(prompts[row]!, { temperature: 0, yieldEogToken: true })) if (++generated === wanted) break;
      if (generated < wanted) throw new Error(`sequence ${row} ended after ${generated} tokens`);
    }),
  );
  return (performance.now() - startedMs) / 1000;
}

await seconds(2);
const prefill = await seconds(1);
const whole = await seconds(1 + tokens);
console.log(
  JSON.stringify({
    prefillPerSecond: (count * promptTokens) / prefill,
    decodePerSecond: (count * tokens) / (whole - prefill),
    peakMemoryMb: peakMemoryMb(),
  }),
);
process.exit();
