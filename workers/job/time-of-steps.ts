import type { Job, StepMetric } from '../../src/jobs/job.ts';

/** @returns how long the steps after the given one take if they take as long as those recorded, in ms */
export function timeOfSteps(recorded: readonly StepMetric[], { totalSteps }: Job, after: number): number {
  const seconds = recorded.reduce((sum, { metrics }) => sum + (metrics['seconds'] ?? 0), 0);
  return recorded.length === 0 || totalSteps === null ? 0 : (1000 * seconds * (totalSteps - after)) / recorded.length;
}
