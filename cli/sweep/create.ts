import { quantity } from '../../src/formats/quantity.ts';
import type { Context } from '../context.ts';
import { usageFailure } from '../exit-code.ts';
import { uploaded, withUploads } from '../jobs/files.ts';
import { FILE_FIELDS, isFileId, type JobFlags, requestOf } from '../jobs/request.ts';
import { parametersOf } from './axes.ts';
import { followSweep } from './show.ts';
import type { Sweep } from './sweep.ts';

export interface SweepOptions extends JobFlags {
  vary: string[];
  sample?: number;
  halving?: number;
  eta?: number;
  budget?: [string, string];
  metric?: string;
  mode?: string;
  follow?: boolean;
}

export async function createSweep(name: string, options: SweepOptions, context: Context): Promise<void> {
  const { output } = context;
  const base = await requestOf(options);
  const parameters = parametersOf(options.vary);
  const search = searchOf(options);
  const service = await context.service();
  for (const field of FILE_FIELDS) {
    const values = parameters[field];
    if (Array.isArray(values))
      parameters[field] = await Promise.all(
        values.map((value) => (typeof value === 'string' && !isFileId(value) ? uploaded(value, { service, output }) : value)),
      );
  }
  const { budget, metric, mode } = options;
  const body = {
    name,
    base: await withUploads(base, { service, output }),
    search: { ...search, parameters },
    // One seed for what is drawn, and for the jobs.
    ...(typeof base['seed'] === 'number' && { seed: base['seed'] }),
    ...(budget !== undefined && { budget: { [budget[0]]: Number(budget[1]) } }),
    ...(metric !== undefined && { metric }),
    ...(mode !== undefined && { mode }),
  };
  const sweep = await service.client.post<Sweep>('/fine_tuning/sweeps', { body });
  if (options.follow) {
    output.note(`${sweep.id} is created, with ${quantity(sweep.jobs.total, 'job')}`);
    return followSweep(sweep.id, context);
  }
  output.result(sweep, sweep.id);
  output.note(output.tint('dim', `${quantity(sweep.jobs.total, 'job')}. Watch them: graft sweep follow ${sweep.id}`));
}

function searchOf({ sample, halving, eta }: SweepOptions): Record<string, unknown> {
  if (eta !== undefined && halving === undefined) throw usageFailure('--eta is of successive halving', 'Give --halving too.');
  const n = sample !== undefined && { n: sample };
  if (halving === undefined) return { strategy: n === false ? 'grid' : 'random', ...n };
  return { strategy: 'successive_halving', min_steps: halving, ...(eta !== undefined && { eta }), ...n };
}
