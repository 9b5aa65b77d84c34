/** What training changed, from the files that a run delivered and its base. */
import type { Analysis, Forgetting } from '../../../src/formats/analysis.ts';
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { Quantization } from '../../../src/formats/quantization.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { type ResolvedTuning, virtualTokens } from '../../../src/formats/tuning/tuning.ts';
import { openForInference } from '../compiled/open-model.ts';
import { type Example, supervisedTokens } from '../data/batch.ts';
import { inMemory } from '../data/example-store.ts';
import type { JobTemplate } from '../data/template/job-template.ts';
import { evaluate } from '../evaluate.ts';
import { readModelConfig } from '../model/weights.ts';
import { methodOf } from '../tuning/methods.ts';
import { changeOf } from './change.ts';
import { examplesOf, samplesOfBase } from './retention.ts';

export interface AnalysisOptions {
  /** The base model's directory. */
  modelDir: string;
  /** The adapter or model that the run delivered. */
  deliveredDir: string;
  tuning: ResolvedTuning;
  /** JSONL of what the model must not forget; default: texts that the base writes. */
  retentionFile?: string | undefined;
  /** In which both models are held and computed: the run's. */
  precision: Precision;
  /** How frozen weights of both are held instead; default: they are not quantised. What the base writes, it writes in `precision`. */
  quantization?: Quantization | undefined;
  parameters: { trained: number; total: number };
  template: JobTemplate;
  /** The date that chat templates see. */
  today: Date;
  seed: number;
  /** Called now and then. */
  working?: (() => void | Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/** One model is in memory at a time. @throws Refusal for a retention file that cannot be read, or a base that writes no texts */
export async function analyse(options: AnalysisOptions): Promise<Analysis> {
  const startedMs = performance.now();
  const { modelDir, deliveredDir, tuning, parameters, working, signal } = options;
  const isModel = methodOf(tuning).adapter === null;
  const forgetting = await forgettingOf(options, isModel ? { modelDir: deliveredDir, trainedWith: tuning } : { modelDir, adapterDir: deliveredDir });
  const tuned = isModel ? { modelDir: deliveredDir, adapterDir: null } : { modelDir, adapterDir: deliveredDir };
  const change = await changeOf(modelDir, tuned, { working, signal });
  return {
    object: 'fine_tuning.job.analysis',
    trained_parameters: parameters.trained,
    total_parameters: parameters.total,
    trained_share: parameters.trained / parameters.total,
    forgetting,
    change: typeof change === 'string' ? null : change,
    no_change: typeof change === 'string' ? change : null,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

type Tuned = Pick<Parameters<typeof openForInference>[0], 'modelDir' | 'adapterDir' | 'trainedWith'>;

async function forgettingOf(options: AnalysisOptions, tuned: Tuned): Promise<Forgetting> {
  const { modelDir, tuning, retentionFile } = options;
  const retention = { ...options, maxLengthTokens: readModelConfig(modelDir).maxPositionTokens - virtualTokens(tuning) };
  const examples = retentionFile === undefined ? await samplesOfBase(retention) : await examplesOf(retentionFile, retention);
  const before = await lossOf({ modelDir }, examples, options);
  const after = await lossOf(tuned, examples, options);
  if (![before, after].every(Number.isFinite))
    throw new Refusal('not_finite', `the loss on what must not be forgotten is ${before} before training and ${after} after`);
  return {
    measured_on: retentionFile === undefined ? 'samples' : 'retention_file',
    examples: examples.length,
    tokens: examples.reduce((sum, example) => sum + supervisedTokens(example), 0),
    before,
    after,
    rise: after - before,
  };
}

async function lossOf(files: Tuned, examples: readonly Example[], { precision, quantization, working, signal }: AnalysisOptions): Promise<number> {
  signal?.throwIfAborted();
  const model = openForInference({ ...files, precision, quantization });
  try {
    return (await evaluate(model, inMemory(examples), working)).loss;
  } finally {
    model.dispose();
  }
}
