import { EVENT_FILE, fileVersion, scalarsRecord } from '../formats/tensorboard.ts';
import type { Job } from '../jobs/job.ts';
import type { Services } from '../services.ts';

/** Steps read at a time; each has some fifteen numbers. */
const STEPS_AT_ONCE = 1_000;
/** TensorBoard puts what stands before a slash into one group, so that a loss is drawn beside the other losses of its kind. */
const GROUPED = /^(full_valid|valid|train|eval)_/;

const beganMs = ({ startedAt, createdAt }: Job): number => (startedAt ?? createdAt).getTime();

/** Anything may follow in an event file's name; the job's id tells several in one folder apart. */
export const eventFileName = (job: Job): string => `${EVENT_FILE}.${Math.floor(beganMs(job) / 1000)}.${job.id}`;

/** Every number of every step so far. The same steps give the same bytes, so that a later download continues an earlier one. */
export async function* eventFile(job: Job, { curves }: Pick<Services, 'curves'>): AsyncGenerator<Buffer> {
  let wallTime = beganMs(job) / 1000;
  yield fileVersion(wallTime);
  for (let afterStep = 0; ; ) {
    const steps = await curves.steps(job.owner, job.id, { afterStep, every: 1, limit: STEPS_AT_ONCE });
    const last = steps.at(-1);
    if (last === undefined) return;
    const records = steps.map(({ step, metrics }) => {
      wallTime += metrics['seconds'] ?? 0;
      return scalarsRecord({
        wallTime,
        step,
        scalars: Object.entries(metrics).map(([name, value]) => ({ tag: name.replace(GROUPED, '$1/'), value })),
      });
    });
    yield Buffer.concat(records);
    afterStep = last.step;
  }
}
