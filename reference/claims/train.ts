/** One run in a process of its own, so that its memory is its own: `node train.ts REQUEST.json` prints a `TrainedRun` as JSON, or null if it diverged. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Change, Forgetting } from '../../src/formats/analysis.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { deliveredBy } from '../../src/formats/tuning/tuning.ts';
import { analyse } from '../../workers/engine/analysis/analyse.ts';
import { openForInference } from '../../workers/engine/compiled/open-model.ts';
import type { Prepared, TrainOptions } from '../../workers/engine/contract.ts';
import { processMemory } from '../../workers/engine/machine/process-memory.ts';
import { train } from '../../workers/engine/train.ts';
import { metricsOn } from '../peft-case.ts';

export interface RunRequest {
  /** null: the base is only measured. */
  options: Pick<TrainOptions, 'modelDir' | 'trainingFile' | 'validationFile' | 'outputDir' | 'tuning' | 'hyperparameters' | 'seed'> | null;
  modelDir: string;
  measuredFile: string;
  generalFile: string | null;
}

export interface TrainedRun {
  trained: number;
  total: number;
  peakBytes: number;
  deliveredBytes: number;
  /** On the file by which the learning rate is chosen, nats per token. */
  choosingLoss: number;
  accuracy: number;
  loss: number;
  forgetting: Forgetting;
  /** null where no weights hold it. */
  change: Change | null;
}

export type MeasuredBase = Pick<TrainedRun, 'peakBytes' | 'accuracy' | 'loss'>;

const { options, modelDir, measuredFile, generalFile } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as RunRequest;
console.log(JSON.stringify(options === null ? await measureBase() : await trainAndMeasure(options)));

async function measureBase(): Promise<MeasuredBase> {
  const measured = await accuracyOf({ modelDir });
  return { ...measured, peakBytes: processMemory().peak };
}

async function trainAndMeasure(run: NonNullable<RunRequest['options']>): Promise<TrainedRun | null> {
  let prepared: Prepared | undefined;
  const report = {
    prepared(facts: Prepared) {
      prepared = facts;
    },
  };
  const result = await train({ ...run, report }).catch((error: unknown) => {
    if (error instanceof Refusal && error.code === 'training_diverged') return null;
    throw error;
  });
  const choosingLoss = result?.last.metrics['full_valid_loss'];
  if (result === null || !Number.isFinite(choosingLoss)) return null;
  const { last, files } = result;
  const { trainableParameters: trained, totalParameters: total, tuning, hyperparameters } = prepared!;
  const peakBytes = last.metrics['peak_memory_bytes']!;
  const { outputDir, seed } = run;
  const measured = await accuracyOf(deliveredBy(tuning.type) === 'model' ? { modelDir: outputDir } : { modelDir, adapterDir: outputDir });
  const { forgetting, change } = await analyse({
    modelDir,
    deliveredDir: outputDir,
    tuning,
    ...(generalFile !== null && { retentionFile: generalFile }),
    precision: hyperparameters.precision,
    parameters: { trained, total },
    template: {},
    today: new Date(),
    seed,
  });
  const weightFiles = files.filter((file) => file.endsWith('.safetensors'));
  const deliveredBytes = weightFiles.reduce((sum, file) => sum + statSync(join(outputDir, file)).size, 0);
  return { trained, total, peakBytes, deliveredBytes, choosingLoss: choosingLoss!, ...measured, forgetting, change };
}

async function accuracyOf(files: { modelDir: string; adapterDir?: string }): Promise<Pick<TrainedRun, 'accuracy' | 'loss'>> {
  const model = openForInference(files);
  const { loss, mean_token_accuracy: accuracy } = await metricsOn(model, { modelDir, file: measuredFile });
  model.dispose();
  return { loss, accuracy: accuracy! };
}
