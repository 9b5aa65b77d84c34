/** What a job is at Weights & Biases: a run whose name is the job's id, with a line of history for each step. */
import type { WandbIntegration } from '../jobs/integrations.ts';
import type { Job, StepMetric } from '../jobs/job.ts';
import type { IntegrationsConfig } from './config.ts';
import { afterStep, beganMs, settingsOf, type Tracker } from './tracker.ts';
import { openWandb, type RunPath } from './wandb.ts';

/** As often as its own client does. */
const EVERY_MS = 15_000;

/** What a process's exit code says there; 255 is that of an interrupted one. */
const EXIT_CODES: Partial<Record<Job['status'], number>> = { succeeded: 0, failed: 1, cancelled: 255 };

/** @param publicUrl of the service */
export function wandbTracker(server: NonNullable<IntegrationsConfig['wandb']>, { publicUrl }: { publicUrl: string }): Tracker {
  const wandb = openWandb(server);
  const pathOf = (runId: string): RunPath => JSON.parse(runId) as RunPath;
  return {
    name: 'Weights & Biases',
    everyMs: EVERY_MS,
    async begin(job, integration) {
      const { project, entity = null, name, tags = [] } = (integration as WandbIntegration).wandb;
      const notes = `${publicUrl}/v1/fine_tuning/jobs/${job.id} of Graft`;
      const run = await wandb.upsert({ entity, project, name: job.id, displayName: name ?? job.suffix ?? job.id, notes, tags });
      return { runId: JSON.stringify(run), url: wandb.urlOf(run) };
    },
    async reopen(runId) {
      await wandb.upsert(pathOf(runId));
    },
    async describe(runId, job) {
      await wandb.upsert({ ...pathOf(runId), config: { ...job.metadata, ...settingsOf(job) } });
    },
    async steps(runId, job, { steps, run }) {
      const { lines, elapsedMs, latest } = historyOf(job, { steps, sentStep: run.step, elapsedMs: run.elapsedMs, latest: run.latest ?? {} });
      await wandb.log(pathOf(runId), { history: { offset: run.step, content: lines }, summary: JSON.stringify(latest) });
      return { elapsedMs, latest };
    },
    beat: (runId) => wandb.beat(pathOf(runId)),
    end: (runId, job) => wandb.end(pathOf(runId), EXIT_CODES[job.status] ?? 1),
  };
}

interface Sent {
  steps: readonly StepMetric[];
  /** The last step that was sent before. */
  sentStep: number;
  elapsedMs: number;
  /** The newest value of each number. */
  latest: Readonly<Record<string, number>>;
}

/**
 * Step s is line s − 1, whenever it is sent: a line that is sent again replaces itself. A step without numbers has a line of its own too.
 */
function historyOf(job: Job, { steps, sentStep, elapsedMs, latest }: Sent) {
  const began = beganMs(job) / 1000;
  const numbers = new Map(steps.map(({ step, metrics }) => [step, metrics]));
  const last = steps.at(-1)?.step ?? sentStep;
  let elapsed = elapsedMs;
  const rows = Array.from({ length: last - sentStep }, (_, index) => {
    const step = sentStep + 1 + index;
    const metrics = numbers.get(step) ?? {};
    elapsed = afterStep(elapsed, metrics);
    const seconds = elapsed / 1000;
    return { _step: step, _runtime: seconds, _timestamp: began + seconds, ...metrics };
  });
  return { lines: rows.map((row) => JSON.stringify(row)), elapsedMs: elapsed, latest: Object.assign({}, latest, ...rows) as Record<string, number> };
}
