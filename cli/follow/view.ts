/** How a job that is followed looks. */
import { statusShown } from '../jobs/shown.ts';
import { duration } from '../terminal/amounts.ts';
import { bar } from '../terminal/bar.ts';
import { plot } from '../terminal/plot.ts';
import { clipped, type Paint, safeLine } from '../terminal/text.ts';
import type { Run } from './run.ts';

const BAR_WIDTH = 24;

/** The lines below the events, each at most as wide as the terminal. */
export function runLines(
  run: Run,
  { columns, paint, isColoured, nowMs }: { columns: number; paint: Paint; isColoured: boolean; nowMs: number },
): string[] {
  if (run.job === null) return [];
  const { job, trainLoss, validLoss } = run;
  const curves = [
    { name: 'training loss', color: 'cyan', points: trainLoss },
    { name: 'validation loss', color: 'yellow', points: validLoss },
  ] as const;
  const drawn = plot(curves, { columns, paint, isColoured });
  const title = clipped(`${job.id}  ${safeLine(job.model)}`, columns - job.status.length - 2);
  return [
    ...(drawn.length > 0 ? ['', ...drawn] : []),
    `${paint('bold', title)}  ${statusShown(job.status, paint)}`,
    clipped(run.isAway ? 'The service is away; waiting until it is back.' : progressText(run, nowMs), columns),
  ];
}

/** `██████░░ 60%  step 6/10  loss 1.234  validation 1.301  12 s left` */
export function progressText(run: Run, nowMs: number): string {
  const { job, step, totalSteps, trainLoss, validLoss } = run;
  if (totalSteps === null) return waitingText(run);
  const parts = [bar(totalSteps === 0 ? 0 : step / totalSteps, BAR_WIDTH), `step ${step}/${totalSteps}`];
  if (trainLoss.length > 0) parts.push(`loss ${trainLoss.at(-1)![1].toFixed(3)}`);
  if (validLoss.length > 0) parts.push(`validation ${validLoss.at(-1)![1].toFixed(3)}`);
  const left = job?.estimated_finish == null ? null : job.estimated_finish - nowMs / 1000;
  if (left !== null && left > 0 && step < totalSteps) parts.push(`${duration(left)} left`);
  return parts.join('  ');
}

function waitingText({ job }: Run): string {
  if (job?.waiting_for) return `waiting for: ${job.waiting_for}`;
  if (job?.status === 'paused') return `paused; graft jobs resume ${job.id}`;
  if (typeof job?.queue_position === 'number') return `waiting for a worker; number ${job.queue_position} of your project`;
  return 'reading the files';
}
