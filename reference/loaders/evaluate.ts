/**
 * Computes probabilities with llama.cpp:
 *
 *     node --import tsx reference/loaders/evaluate.ts URL REQUEST      URL of node-llama-cpp, and a file with a list of `EvaluatedCase`
 */
import { readFileSync, writeFileSync } from 'node:fs';

export interface EvaluatedCase {
  /** Texts, and where the ids go that the model's tokenizer makes of each. */
  tokenized?: { texts: readonly string[]; idsFile: string };
  /** GGUF files. */
  model: string;
  adapter: string | null;
  /** What the adapter's own scaling is multiplied with. */
  scale: number;
  sequences: number[][];
  /** Where the probabilities go, f32 [tokens of all sequences, vocabulary]. */
  probabilitiesFile: string;
}

/** The part of node-llama-cpp that is used here. */
interface Library {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string; gpuLayers: number }): Promise<Model>;
    dispose(): Promise<void>;
  }>;
}
interface Model {
  tokenize(text: string, specialTokens: boolean): readonly number[];
  createContext(options: object): Promise<{ getSequence(): Sequence; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface Sequence {
  controlledEvaluate(input: [id: number, options: object][]): Promise<({ next: { probabilities: Map<number, number> } } | undefined)[]>;
  clearHistory(): Promise<void>;
}

/** The distribution as it is: node-llama-cpp would keep the 40 most probable tokens. */
const WHOLE = { generateNext: { probabilities: true, options: { temperature: 1, topK: 0, topP: 1, minP: 0 } } };

/**
 * Keys and values are kept in 16 bits by default, which changes a probability by 1e-3. One thread, because llama.cpp's threads wait for each other in busy
 * loops, which take seconds where other programs run.
 */
const EXACT = {
  contextSize: 512,
  batchSize: 512,
  threads: 1,
  flashAttention: false,
  experimentalKvCacheKeyType: 'F32',
  experimentalKvCacheValueType: 'F32',
};

async function probabilities(model: Model, { adapter, scale, sequences }: EvaluatedCase): Promise<Float32Array[]> {
  const lora = adapter === null ? {} : { lora: { adapters: [{ filePath: adapter, scale }] } };
  const context = await model.createContext({ ...EXACT, ...lora });
  const sequence = context.getSequence();
  const rows: Float32Array[] = [];
  for (const ids of sequences) {
    await sequence.clearHistory();
    for (const result of await sequence.controlledEvaluate(ids.map((id) => [id, WHOLE]))) {
      const found = result!.next.probabilities;
      const row = new Float32Array(found.size);
      for (const [token, probability] of found) row[token] = probability;
      rows.push(row);
    }
  }
  await context.dispose();
  return rows;
}

async function main(url: string, request: string): Promise<void> {
  const cases = JSON.parse(readFileSync(request, 'utf8')) as EvaluatedCase[];
  const { getLlama } = (await import(url)) as Library;
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false });
  for (const one of cases) {
    const model = await llama.loadModel({ modelPath: one.model, gpuLayers: 0 });
    if (one.tokenized !== undefined) {
      const { texts, idsFile } = one.tokenized;
      writeFileSync(idsFile, JSON.stringify(texts.map((text) => model.tokenize(text, true))));
    }
    const rows = await probabilities(model, one);
    writeFileSync(one.probabilitiesFile, Buffer.concat(rows.map((row) => Buffer.from(row.buffer))));
    await model.dispose();
  }
  await llama.dispose();
}

const [url, request] = process.argv.slice(2);
if (url !== undefined && request !== undefined) await main(url, request);
