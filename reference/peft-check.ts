/** Loads the engine's files into PEFT and transformers, and compares their numbers with the engine's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loraFormat } from '../src/formats/tuning/lora.ts';
import type { CompiledModel } from '../workers/engine/compiled/compiled-model.ts';
import { openForInference } from '../workers/engine/compiled/open-model.ts';
import { openEagerForTraining } from '../workers/engine/eager/eager-model.ts';
import { exportHuggingFace } from '../workers/engine/export/hugging-face.ts';
import { saveAdapter } from '../workers/engine/io/adapter.ts';
import { tf } from '../workers/engine/tensorflow/tensorflow.ts';
import { uniform } from '../workers/engine/tuning/random.ts';

export const BASE_MODEL_NAME = 'a-base-model';
/** Largest |Δ| of a logit that may result from f32 sums in another order. */
export const LOGITS_TOLERANCE = 1e-4;
const CHECK = join(import.meta.dirname, 'peft/check.py');

/** Python's answer to one request. */
export interface PeftAnswer {
  name: string;
  problems: string[];
  logitsDifference?: number;
  largestLogit?: number;
  movedBy?: number;
  validLoss?: number | null;
  /** null if no loss is compared. */
  lossDifference?: number | null;
}

/** Files that the engine wrote, and the numbers that it computes from them. */
export interface PeftRequest {
  name: string;
  baseModelDir: string;
  baseModelName: string;
  /** Whether PEFT must find the base by what adapter_config.json says of it: a path, or a name and a commit in `hubCache`. */
  findsBase: boolean;
  outputDir: string;
  delivered: 'adapter' | 'model';
  sequences: number[][];
  logitsFile: string;
  validationFile: string | null;
  validLoss: number | null;
}

/** A directory that the hub's library takes for what it has downloaded. */
export const hubCache = (scratch: string): string => join(scratch, 'hub');

/** @param python path of the python that has PEFT. @returns an answer for each request, in order */
export function askPython(python: string, scratch: string, requests: readonly PeftRequest[]): PeftAnswer[] {
  const file = join(scratch, 'request.json');
  writeFileSync(file, JSON.stringify(requests));
  const env = { ...process.env, HF_HUB_CACHE: hubCache(scratch) };
  const answers = execFileSync(python, [CHECK, file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env });
  return answers
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as PeftAnswer);
}

/** Writes an adapter with a random B. @returns a request to check it, with the engine's logits */
export function randomAdapter(scratch: string, family: string, modelDir: string): PeftRequest {
  const outputDir = join(scratch, family, 'output');
  mkdirSync(outputDir, { recursive: true });
  const tuning = loraFormat.resolve({ type: 'lora', r: 4 });
  const fresh = openEagerForTraining({ modelDir, tuning, seed: 1 });
  for (const [name, B] of fresh.trainable) {
    if (name.includes('lora_B')) tf.tidy(() => B.assign(tf.tensor(uniform(B.size, { bound: 0.3, seed: 2, name }), B.shape)));
  }
  saveAdapter(fresh, outputDir, { tuning, baseModelName: BASE_MODEL_NAME });
  fresh.dispose();
  const model = openForInference({ modelDir, adapterDir: outputDir });
  const logits = writeLogits(model, join(scratch, family));
  model.dispose();
  const delivered = {
    name: family,
    baseModelDir: modelDir,
    baseModelName: BASE_MODEL_NAME,
    findsBase: false,
    outputDir,
    delivered: 'adapter' as const,
  };
  return { ...delivered, ...logits, validationFile: null, validLoss: null };
}

/** Merges an adapter into its base. @returns a request to check the merged model, with the engine's logits */
export async function mergedModel(scratch: string, { name, baseModelDir: modelDir, outputDir: adapterDir }: PeftRequest): Promise<PeftRequest> {
  const outputDir = join(scratch, `${name}-merged`);
  await exportHuggingFace({ modelDir, adapterDir }, outputDir, { dtype: 'F32', progress: async () => {} });
  const model = openForInference({ modelDir: outputDir });
  const logits = writeLogits(model, outputDir);
  model.dispose();
  const delivered = {
    name: `${name}, merged`,
    baseModelDir: modelDir,
    baseModelName: BASE_MODEL_NAME,
    findsBase: false,
    outputDir,
    delivered: 'model' as const,
  };
  return { ...delivered, ...logits, validationFile: null, validLoss: null };
}

export function writeLogits(model: CompiledModel, dir: string): Pick<PeftRequest, 'sequences' | 'logitsFile'> {
  const sequences = [5, 17, 40].map((length) => someIds(Math.min(length, model.config.maxPositionTokens), model.config.vocabSize));
  const logitsFile = join(dir, 'logits.f32');
  writeFileSync(logitsFile, Buffer.concat(sequences.map((ids) => Buffer.from(model.allLogits(ids).slice().buffer))));
  return { sequences: sequences.map((ids) => [...ids]), logitsFile };
}

/** Ids spread over the whole vocabulary. */
const someIds = (length: number, vocabSize: number): Int32Array =>
  Int32Array.from({ length }, (_, index) => (index * 7919 + 31 * length) % vocabSize);
