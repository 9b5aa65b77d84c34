import type { Context } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import type { Service } from '../service.ts';
import { time } from '../terminal/amounts.ts';
import { fields, type Paint, safeLine, table } from '../terminal/text.ts';
import type { List } from '../types.ts';
import { untilOver } from '../watch.ts';
import { valuesText } from './axes.ts';
import { idOf, type Sweep, type SweepWithTrials, sweepPath, type Trial } from './sweep.ts';

/** How often a sweep is read while it is waited for. */
const LOOK_EVERY_MS = 2_000;

const plain: Paint = (_style, text) => text;

export async function listSweeps({ limit }: { limit: number }, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const list = await client.get<List<Sweep>>('/fine_tuning/sweeps', { query: { limit } });
  const rows = list.data.map(({ id, created_at: created, status, jobs, name }) => [
    id,
    time(created),
    status,
    `${jobs.ended}/${jobs.total}`,
    safeLine(name ?? ''),
  ]);
  const text = rows.length === 0 ? 'There are no sweeps. Make one: graft sweep create --help' : table(LIST_HEADER, rows, output.paint);
  output.result(list, list.has_more ? `${text}\n${output.paint('dim', 'There are more: --limit shows them.')}` : text);
}

const LIST_HEADER = ['ID', 'CREATED', 'STATUS', 'ENDED', 'NAME'];

export async function showSweep(name: string, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const sweep = await read(await idOf(name, service), service);
  output.result(sweep, sweepText(sweep, output.paint));
}

/** Waits until the sweep has ended, and shows it. Sets the exit code by how it ended. */
export async function followSweep(name: string, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const id = await idOf(name, service);
  let told = -1;
  const sweep = await untilOver(
    {
      first: await read(id, service),
      read: () => read(id, service),
      isOver: ({ status }) => status !== 'running',
      lines: (state) => sweepText(state, plain).split('\n'),
      told({ jobs: { ended, total } }) {
        if (ended !== told) output.note(`${ended} of ${total} jobs have ended`);
        told = ended;
      },
      interrupted: `No longer watching. The sweep runs on: \`graft sweep follow ${id}\` watches it again, \`graft sweep cancel ${id}\` ends it.`,
      everyMs: LOOK_EVERY_MS,
    },
    { output },
  );
  output.result(sweep, sweepText(sweep, output.paint));
  if (sweep.status !== 'succeeded') process.exitCode = EXIT.failed;
}

const read = (id: string, { client }: Service): Promise<SweepWithTrials> => client.get<SweepWithTrials>(sweepPath(id));

function sweepText(sweep: SweepWithTrials, paint: Paint): string {
  const { id, name, status, jobs, metric, mode, waiting_for: waiting, reason, winner, trials } = sweep;
  const facts = fields(
    [
      ['sweep', name === null ? id : `${name} (${id})`],
      ['status', `${status}, ${jobs.ended} of ${jobs.total} jobs have ended`],
      ['compared by', `${metric}, the ${mode === 'max' ? 'highest' : 'lowest'}`],
      ['waits for', waiting],
      ['winner', winner?.job_id],
      ['reason', reason],
    ],
    paint,
  );
  const rows = ranked(trials, mode).map(({ index, values, status: state, step, total_steps: total, metric: value, job_id: job, error }) => [
    `${index === winner?.index ? '*' : ' '} ${safeLine(valuesText(values))}`,
    state,
    total === null ? '' : `${step ?? 0}/${total}`,
    value === null ? '' : `${value.value.toFixed(4)} at ${value.step}`,
    job ?? safeLine(error?.message ?? ''),
  ]);
  return `${facts}\n\n${table(['  VALUES', 'STATUS', 'STEP', metric.toUpperCase(), 'JOB'], rows, paint)}`;
}

/** The best first, then those that have no value yet. */
function ranked(trials: readonly Trial[], mode: Sweep['mode']): Trial[] {
  const sign = mode === 'max' ? -1 : 1;
  const order = ({ metric }: Trial) => (metric === null ? Number.POSITIVE_INFINITY : sign * metric.value);
  return trials.toSorted((a, b) => order(a) - order(b) || a.index - b.index);
}
