import type { StepReport, TrainOptions } from '../../../workers/engine/contract.ts';

/** Stops after a step as a cancelled job does. */
export function stoppingAfter(step: number): Pick<TrainOptions, 'signal' | 'report'> {
  const controller = new AbortController();
  const report = { step: (done: StepReport) => (done.step === step ? controller.abort(new Error('cancelled')) : undefined) };
  return { signal: controller.signal, report };
}
