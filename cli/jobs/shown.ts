import type { Context } from '../context.ts';
import { clock, duration, time } from '../terminal/amounts.ts';
import { fields, type Paint, safe, safeLine, table } from '../terminal/text.ts';
import type { Checkpoint, Job, JobEvent, JobStatus, List } from '../types.ts';

const COLOURS: Readonly<Record<JobStatus, Parameters<Paint>[0]>> = {
  validating_files: 'dim',
  queued: 'dim',
  running: 'cyan',
  paused: 'yellow',
  succeeded: 'green',
  failed: 'red',
  cancelled: 'yellow',
};

export const statusShown = (status: JobStatus, paint: Paint): string => paint(COLOURS[status] ?? 'reset', status);

export async function listJobs(
  { limit, metadata }: { limit: number; metadata: Record<string, string> },
  { service, output }: Context,
): Promise<void> {
  const { client } = await service();
  const query = { limit, ...Object.fromEntries(Object.entries(metadata).map(([key, value]) => [`metadata[${key}]`, value])) };
  const list = await client.get<List<Job>>('/fine_tuning/jobs', { query });
  const rows = list.data.map((job) => [
    job.id,
    time(job.created_at),
    // Padded before it is painted, because colours count as characters.
    statusShown(job.status, (style, text) => output.paint(style, text.padEnd(STATUS_WIDTH))),
    progressOf(job),
    safeLine(job.fine_tuned_model ?? job.model),
  ]);
  const text = rows.length === 0 ? 'There are no jobs. Create one: graft jobs create --help' : table(HEADER, rows, output.paint);
  output.result(list, list.has_more ? `${text}\n${output.paint('dim', 'There are more: --limit shows them.')}` : text);
}

const HEADER = ['ID', 'CREATED', 'STATUS', 'STEP', 'MODEL'];
const STATUS_WIDTH = 'validating_files'.length;

const progressOf = ({ step, total_steps: total }: Job): string => (total === null ? '' : `${step ?? 0}/${total}`);

/** Of the events, the newest so many. */
const EVENTS_SHOWN = 10;

export async function showJob(id: string, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const path = `/fine_tuning/jobs/${encodeURIComponent(id)}`;
  const [job, checkpoints, events] = await Promise.all([
    client.get<Job>(path),
    client.get<List<Checkpoint>>(`${path}/checkpoints`, { query: { limit: 100 } }),
    client.get<List<JobEvent>>(`${path}/events`, { query: { limit: 50 } }),
  ]);
  const messages = events.data.filter(({ type }) => type === 'message').slice(0, EVENTS_SHOWN);
  const text = [
    jobFields(job, output.paint),
    ...(checkpoints.data.length === 0 ? [] : ['', output.paint('bold', 'Checkpoints'), ...checkpoints.data.map(checkpointLine)]),
    ...(messages.length === 0 ? [] : ['', output.paint('bold', 'Events'), ...messages.reverse().map((event) => eventLine(event, output.paint))]),
  ];
  output.result({ ...job, checkpoints: checkpoints.data, events: events.data }, text.join('\n'));
}

export const jobFields = (job: Job, paint: Paint): string =>
  fields(
    [
      ['job', job.id],
      ['model', job.model],
      ['status', job.status + (job.waiting_for === null ? '' : `, waiting for: ${job.waiting_for}`)],
      ['error', job.error?.message],
      ['queue position', job.queue_position],
      ['step', job.total_steps === null ? null : `${job.step ?? 0} of ${job.total_steps}`],
      ['tuned model', job.fine_tuned_model],
      ['trained tokens', job.trained_tokens?.toLocaleString('en')],
      ['created', time(job.created_at)],
      ['took', job.finished_at === null ? null : duration(job.finished_at - job.created_at)],
      ['training file', job.training_file],
      ['validation file', job.validation_file],
      [
        'tuning',
        Object.entries(job.tuning)
          .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
          .join(' '),
      ],
      [
        'hyperparameters',
        Object.entries(job.hyperparameters)
          .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
          .join(' '),
      ],
    ],
    paint,
  );

function checkpointLine({ step_number: step, metrics, fine_tuned_model_checkpoint: model }: Checkpoint): string {
  const loss = metrics['full_valid_loss'] ?? metrics['valid_loss'];
  return `  step ${step}${typeof loss === 'number' ? `, validation loss ${loss.toFixed(4)}` : ''}  ${safeLine(model)}`;
}

export function eventLine({ created_at: at, level, message }: Pick<JobEvent, 'created_at' | 'level' | 'message'>, paint: Paint): string {
  const text = safe(message);
  const coloured = level === 'info' ? text : paint(level === 'error' ? 'red' : 'yellow', text);
  return `${paint('dim', clock(at))}  ${coloured}`;
}
