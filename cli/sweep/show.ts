import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { EXIT, Failure } from '../exit-code.ts';
import { isPassing } from '../reported.ts';
import type { Service } from '../service.ts';
import { clipped, safeLine, table } from '../terminal/text.ts';
import { type Checkpoint, hasEnded, type Job, type List } from '../types.ts';
import { jobsOf, RUN_KEY } from './jobs.ts';

export interface ShowOptions {
  metric: string;
  higher?: boolean;
}

/** How often the jobs are read while they are waited for. */
const LOOK_EVERY_MS = 2_000;

interface Ranked {
  job: Job;
  run: string;
  /** The best of its checkpoints; null before there is one. */
  best: { value: number; step: number } | null;
}

/** With `wait`, sets the exit code to 1 if a job did not succeed. */
export async function showSweep(name: string, options: ShowOptions & { wait: boolean }, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const live = options.wait ? output.live() : null;
  let ranked = await rank(name, options, service);
  if (ranked.length === 0) throw new Failure(`There is no sweep "${name}"`, { hint: 'graft sweep create makes one.' });
  const text = (paint: typeof output.paint) => tableOf(ranked, options.metric, paint);
  try {
    while (options.wait && ranked.some(({ job }) => !hasEnded(job))) {
      live?.draw(
        text((_style, plain) => plain)
          .split('\n')
          .map((line) => clipped(line, output.columns)),
      );
      await delay(LOOK_EVERY_MS);
      ranked = await rank(name, options, service).catch((error: unknown) => {
        if (isPassing(error)) return ranked; // it is asked again
        throw error;
      });
    }
  } finally {
    live?.clear();
  }
  const results = ranked.map(({ job, run, best }) => ({ job: job.id, run, status: job.status, fine_tuned_model: job.fine_tuned_model, best }));
  output.result({ sweep: name, metric: options.metric, runs: results }, text(output.paint));
  if (options.wait && ranked.some(({ job }) => job.status !== 'succeeded')) process.exitCode = EXIT.failed;
}

async function rank(name: string, { metric, higher = false }: ShowOptions, service: Service): Promise<Ranked[]> {
  const jobs = await jobsOf(name, service);
  const ranked: Ranked[] = [];
  for (const job of jobs) ranked.push({ job, run: job.metadata?.[RUN_KEY] ?? '', best: await bestOf(job, { metric, higher }, service) });
  const sign = higher ? -1 : 1;
  const order = ({ best }: Ranked) => (best === null ? Number.POSITIVE_INFINITY : sign * best.value);
  return ranked.sort((a, b) => order(a) - order(b) || (a.run < b.run ? -1 : 1));
}

async function bestOf(job: Job, { metric, higher }: { metric: string; higher: boolean }, { client }: Service): Promise<Ranked['best']> {
  if (job.step === null) return null;
  const { data } = await client.get<List<Checkpoint>>(`/fine_tuning/jobs/${job.id}/checkpoints`, { query: { limit: 100 } });
  let best: Ranked['best'] = null;
  for (const { step_number: step, metrics } of data) {
    const value = metrics[metric];
    if (typeof value === 'number' && (best === null || (higher ? value > best.value : value < best.value))) best = { value, step };
  }
  return best;
}

const tableOf = (ranked: readonly Ranked[], metric: string, paint: Context['output']['paint']): string =>
  table(
    ['RUN', 'STATUS', 'STEP', metric.toUpperCase(), 'JOB'],
    ranked.map(({ job, run, best }) => [
      safeLine(run),
      job.status,
      job.total_steps === null ? '' : `${job.step ?? 0}/${job.total_steps}`,
      best === null ? '' : `${best.value.toFixed(4)} at ${best.step}`,
      job.id,
    ]),
    paint,
  );
