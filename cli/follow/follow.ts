/** `graft jobs follow`: a job until it ends. */
import type { Context } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { eventLine, jobFields } from '../jobs/shown.ts';
import { isPassing } from '../reported.ts';
import type { Service } from '../service.ts';
import { hasEnded, type Job } from '../types.ts';
import { followEvents } from './events.ts';
import { newRun, type Run, takeJob, takeMetrics } from './run.ts';
import { progressText, runLines } from './view.ts';

/** How often the job itself is read while somebody watches: for its step, its turn and the time left. */
const LOOK_EVERY_MS = 1_000;

/** Sets the exit code by how the job ended. */
export async function follow(jobId: string, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const run = newRun();
  const stop = new AbortController();
  const live = output.live();
  const isColoured = output.tint('red', '') !== '';
  const draw = () => live?.draw(runLines(run, { columns: output.columns, paint: output.tint, isColoured, nowMs: Date.now() }));
  const say = live === null ? output.note : live.say;
  const watching = live === null ? undefined : setInterval(() => void look(jobId, { service, run, draw }), LOOK_EVERY_MS);
  const onInterrupt = () => stop.abort();
  process.once('SIGINT', onInterrupt);
  const tenths = inTenths();
  try {
    const events = followEvents(jobId, {
      service,
      signal: stop.signal,
      onJob: (job) => {
        takeJob(run, job);
        draw();
      },
      onTrouble(error) {
        if (error !== null && !run.isAway) say(output.tint('yellow', 'The service is away; waiting until it is back.'));
        run.isAway = error !== null;
        draw();
      },
    });
    for await (const event of events) {
      if (output.isJson) output.item(event, '');
      if (event.type === 'metrics') {
        takeMetrics(run, event);
        if (live === null && tenths(run)) output.note(`          ${progressText(run, Date.now())}`);
      } else say(eventLine(event, output.tint));
      draw();
    }
  } finally {
    clearInterval(watching);
    live?.clear();
    process.off('SIGINT', onInterrupt);
  }
  if (stop.signal.aborted) {
    output.note(`\nNo longer watching. The job runs on: \`graft jobs follow ${jobId}\` watches it again, \`graft jobs cancel ${jobId}\` ends it.`);
    process.exitCode = EXIT.interrupted;
    return;
  }
  const job = await service.client.get<Job>(`/fine_tuning/jobs/${encodeURIComponent(jobId)}`);
  if (live !== null)
    for (const line of runLines(run, { columns: output.columns, paint: output.tint, isColoured, nowMs: Date.now() }).slice(0, -2)) output.note(line);
  output.item(job, jobFields(job, output.paint));
  process.exitCode = job.status === 'succeeded' ? EXIT.done : EXIT.failed;
  if (job.status === 'succeeded' && !job.dry_run) output.note(output.tint('dim', `Download it: graft adapters download ${jobId}`));
}

async function look(jobId: string, { service, run, draw }: { service: Service; run: Run; draw(): void }): Promise<void> {
  try {
    takeJob(run, await service.client.get<Job>(`/fine_tuning/jobs/${encodeURIComponent(jobId)}`, { maxRetries: 0 }));
  } catch (error) {
    if (!isPassing(error)) return; // the events' own requests tell it
  }
  if (run.job !== null && !hasEnded(run.job)) draw();
}

/** Whoever reads a log sees a tenth at a time. @returns whether another tenth is done */
function inTenths(): (run: Run) => boolean {
  let told = -1;
  return ({ step, totalSteps }) => {
    const tenth = totalSteps ? Math.floor((10 * step) / totalSteps) : -1;
    if (tenth === told) return false;
    told = tenth;
    return true;
  };
}
