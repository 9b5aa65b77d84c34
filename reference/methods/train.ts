/** Trains one method in a process of its own, so that its memory is its own: `node train.ts REQUEST.json` prints a `TrainedMethod` as JSON. */
import { readFileSync } from 'node:fs';
import { deliveredBy } from '../../src/formats/tuning/tuning.ts';
import { openForInference } from '../../workers/engine/compiled/open-model.ts';
import type { Prepared, StepReport, TrainOptions } from '../../workers/engine/contract.ts';
import { trainWithLineage } from '../../workers/engine/train-with-lineage.ts';
import { metricsOn } from '../peft-case.ts';
import { type PeftRequest, writeLogits } from '../peft-check.ts';

export interface MethodRequest {
  options: Pick<TrainOptions, 'modelDir' | 'trainingFile' | 'validationFile' | 'outputDir' | 'tuning' | 'hyperparameters' | 'seed' | 'baseModelName'>;
  /** Text of the base's own kind, on which forgetting is measured. */
  generalFile: string;
  scratch: string;
}

export interface TrainedMethod extends Pick<PeftRequest, 'sequences' | 'logitsFile'> {
  trained: number;
  total: number;
  peakBytes: number;
  /** Median of a step. */
  stepSeconds: number;
  /** Share of the answers' tokens that are the most probable, on examples that were not trained. */
  accuracy: number;
  /** Loss on the general text, in nats per token. */
  generalLoss: number;
}

const { options, generalFile, scratch } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as MethodRequest;
const steps: StepReport[] = [];
let prepared: Prepared | undefined;
const report = {
  step: (done: StepReport) => void steps.push(done),
  prepared(facts: Prepared) {
    prepared = facts;
  },
};
const { last } = await trainWithLineage({ ...options, report });
const seconds = steps.map(({ metrics }) => metrics['seconds']!).sort((a, b) => a - b);
const { modelDir, outputDir, tuning } = options;
const model = openForInference(deliveredBy(tuning.type) === 'model' ? { modelDir: outputDir } : { modelDir, adapterDir: outputDir });
const measured: TrainedMethod = {
  ...writeLogits(model, scratch),
  trained: prepared!.trainableParameters,
  total: prepared!.totalParameters,
  peakBytes: last.metrics['peak_memory_bytes']!,
  stepSeconds: seconds[Math.floor(seconds.length / 2)]!,
  accuracy: last.metrics['full_valid_mean_token_accuracy']!,
  generalLoss: (await metricsOn(model, { modelDir, file: generalFile })).loss,
};
model.dispose();
console.log(JSON.stringify(measured));
