/** Trains with the engine, for PEFT and transformers to check what came out. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Hyperparameters } from '../src/formats/hyperparameters.ts';
import { deliveredBy, type Tuning } from '../src/formats/tuning/tuning.ts';
import type { CompiledModel } from '../workers/engine/compiled/compiled-model.ts';
import { openForInference } from '../workers/engine/compiled/open-model.ts';
import { readDataset } from '../workers/engine/data/dataset.ts';
import { ChatTemplate } from '../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { evaluate } from '../workers/engine/evaluate.ts';
import type { Metrics } from '../workers/engine/objectives/objective.ts';
import { trainWithLineage } from '../workers/engine/train-with-lineage.ts';
import { BASE_MODEL_NAME, hubCache, type PeftRequest, writeLogits } from './peft-check.ts';

/** Largest difference of the mean loss, nats. */
export const LOSS_TOLERANCE = 1e-5;
/** If tuning hardly changed the logits, any file would pass. */
export const MIN_CHANGE = 0.01;

const TESTS = join(import.meta.dirname, 'peft');
const TRAINING_FILE = join(TESTS, 'train.jsonl');
const VALIDATION_FILE = join(TESTS, 'validation.jsonl');

export interface TrainedCase {
  name: string;
  modelDir: string;
  tuning: Tuning;
  hyperparameters?: Hyperparameters;
  /** What adapter_config.json says of the base, from which PEFT must find it; default: a name that means nothing to PEFT. */
  base?: { name: string; revision?: string };
}

/** Trains the cases in order. @returns a request for each */
export async function trainedCases(scratch: string, cases: readonly TrainedCase[]): Promise<PeftRequest[]> {
  const requests: PeftRequest[] = [];
  for (const [index, one] of cases.entries()) {
    console.error(`training: ${one.name}`);
    requests.push(await trainedCase(scratch, index, one));
  }
  return requests;
}

/** @returns a request to check the delivered files, with the engine's logits and loss */
async function trainedCase(scratch: string, index: number, { name, modelDir, tuning, hyperparameters, base }: TrainedCase): Promise<PeftRequest> {
  const baseModelName = base?.name ?? BASE_MODEL_NAME;
  if (base?.revision !== undefined) {
    const snapshots = join(hubCache(scratch), `models--${base.name.replace('/', '--')}`, 'snapshots');
    mkdirSync(snapshots, { recursive: true });
    symlinkSync(modelDir, join(snapshots, base.revision));
  }
  const outputDir = join(scratch, `${index}`, 'output');
  mkdirSync(join(scratch, `${index}`));
  const result = await trainWithLineage({
    modelDir,
    trainingFile: TRAINING_FILE,
    validationFile: VALIDATION_FILE,
    outputDir,
    tuning,
    hyperparameters: { n_epochs: 4, batch_size: 3, learning_rate: 5e-3, precision: 'f32', ...hyperparameters },
    seed: index + 1,
    baseModelName,
    ...(base?.revision !== undefined && { baseModelRevision: base.revision }),
  });
  const delivers = deliveredBy(tuning.type);
  const model = openForInference(delivers === 'model' ? { modelDir: outputDir } : { modelDir, adapterDir: outputDir });
  try {
    const logits = writeLogits(model, join(scratch, `${index}`));
    const { loss: reloaded } = await metricsOn(model, { modelDir, file: VALIDATION_FILE });
    // Saving in 16 bits rounds a fully tuned model; an adapter is saved exactly as it was when the loss was reported.
    const reported = result.last.metrics['full_valid_loss'];
    if (delivers === 'adapter' && reported !== reloaded)
      throw new Error(`${name}: the run reported a loss of ${reported}, but its files give ${reloaded}`);
    const delivered = { name, baseModelDir: modelDir, baseModelName, findsBase: base !== undefined, outputDir, delivered: delivers };
    return { ...delivered, ...logits, validationFile: VALIDATION_FILE, validLoss: reloaded };
  } finally {
    model.dispose();
  }
}

/** @returns the objective's metrics on a file's examples */
export async function metricsOn(model: CompiledModel, { modelDir, file }: { modelDir: string; file: string }): Promise<Metrics> {
  const tokenizer = await Tokenizer.open(modelDir);
  const template = await ChatTemplate.open(tokenizer, new Date());
  const { vocabSize, maxPositionTokens } = model.config;
  const { examples } = await readDataset(file, {
    param: 'validation_file',
    tokenizer,
    template,
    vocabSize,
    maxLengthTokens: maxPositionTokens,
    truncation: 'error',
  });
  try {
    return await evaluate(model, examples);
  } finally {
    examples.close();
  }
}
