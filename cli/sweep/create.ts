import { quantity } from '../../src/formats/quantity.ts';
import type { Context } from '../context.ts';
import { usageFailure } from '../exit-code.ts';
import { withUploads } from '../jobs/files.ts';
import { addTypes, assign, type JobFlags, requestOf } from '../jobs/request.ts';
import type { Job } from '../types.ts';
import { axesOf, combinations, drawn, nameOf } from './combinations.ts';
import { jobsOf, RUN_KEY, SWEEP_KEY } from './jobs.ts';

export interface SweepOptions extends JobFlags {
  vary: string[];
  sample?: number;
}

/** A larger sweep is more likely a mistake. */
const MAX_JOBS = 100;
/** What a value of metadata may have. */
const MAX_NAME = 512;

export async function createSweep(name: string, options: SweepOptions, { service: connect, output }: Context): Promise<void> {
  const request = await requestOf(options);
  const all = combinations(axesOf(options.vary, request));
  const chosen = options.sample === undefined ? all : drawn(all, options.sample);
  if (chosen.length > MAX_JOBS)
    throw usageFailure(`These are ${chosen.length} combinations; a sweep has at most ${MAX_JOBS} jobs`, 'Draw some of them with --sample.');
  const service = await connect();
  const shared = await withUploads(request, { service, output });
  const there = new Set((await jobsOf(name, service)).map(({ metadata }) => metadata?.[RUN_KEY]));
  const created: Job[] = [];
  for (const combination of chosen) {
    const run = nameOf(combination).slice(0, MAX_NAME);
    if (there.has(run)) continue;
    const body = structuredClone(shared);
    for (const { path, value } of combination) assign(body, path, value);
    addTypes(body);
    assign(body, `metadata.${SWEEP_KEY}`, name);
    assign(body, `metadata.${RUN_KEY}`, run);
    const job = await service.client.post<Job>('/fine_tuning/jobs', { body: await withUploads(body, { service, output }) });
    created.push(job);
    output.note(`${job.id}: ${run}`);
  }
  const text = `${quantity(created.length, 'job')} created${created.length < chosen.length ? `, ${chosen.length - created.length} were there` : ''}`;
  output.result({ sweep: name, jobs: created }, text);
  output.note(output.tint('dim', `Watch them: graft sweep follow ${name}`));
}
