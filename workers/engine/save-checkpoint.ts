import type { StepReport } from './contract.ts';
import { writeCheckpoint } from './io/checkpoint.ts';
import type { Run } from './prepare.ts';
import { referenceTensors } from './references.ts';
import { sampleLoss } from './resume.ts';

export interface Progress {
  seed: number;
  step: number;
  trainedTokens: number;
  last: StepReport;
  /** Whether the model is still to be asked after this step. */
  unanswered?: boolean;
  /** Called before anything is written. */
  writing: (() => void | Promise<void>) | undefined;
}

/** Writes a run's state after a step. @returns the checkpoint's directory */
export async function saveCheckpoint(
  run: Run,
  checkpointsDir: string,
  { seed, step, trainedTokens, last, unanswered = false, writing }: Progress,
): Promise<string> {
  const { model, training, tuning, hyperparameters, chatTemplate, today, bestModel, badSteps, deliver } = run;
  const skipped = badSteps.state;
  const state = {
    step,
    seed,
    tuning,
    hyperparameters,
    trainingSha256: training.sha256,
    chatTemplate,
    today: today.toISOString(),
    trainedTokens,
    sampleLoss: await sampleLoss(model, training.examples),
    last,
    ...(unanswered && { unanswered }),
    ...(model.steps !== step && { updates: model.steps }),
    ...(skipped !== null && { badSteps: skipped }),
    ...(bestModel !== null && { bestModel: bestModel.state }),
  };
  await writing?.();
  const isBest = bestModel?.state.best?.report.step === step;
  const bestValues = isBest ? null : (bestModel?.values ?? null);
  return writeCheckpoint(checkpointsDir, { model, state, bestValues, others: referenceTensors(run), deliver });
}
