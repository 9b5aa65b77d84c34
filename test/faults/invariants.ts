/** What must hold after every try, whatever happened to the service. */
import { createHash } from 'node:crypto';
import type { Api } from './api.ts';
import type { Truth } from './truth.ts';

export interface Findings {
  /** The job did not end as it should. */
  lost: boolean;
  wrongBytes: boolean;
  /** Events, rows and files that are missing or doubled. */
  irregular: string[];
}

/** Said once in a job's life, whatever interrupts it. That it started is said again when it starts from the beginning again. */
const ONCE = [/^Files validated/, /^New fine-tuned model created/, /^The job has successfully completed/];

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Checks a job that must have succeeded, with the weights of an undisturbed run unless these are null. */
export async function checkSucceeded(
  id: string,
  wanted: { weights: string | null; steps: number },
  { api, truth }: { api: Api; truth: Truth },
): Promise<Findings> {
  const { status, error } = await truth.job(id);
  if (status !== 'succeeded') return { lost: true, wrongBytes: false, irregular: [`${id} is ${status}${error ? `: ${error.message}` : ''}`] };
  const irregular: string[] = [];
  const got = await api.weights(id).catch((reason: Error) => {
    irregular.push(`the adapter cannot be downloaded: ${reason.message}`);
    return null;
  });
  irregular.push(
    ...(await irregularSteps(id, wanted.steps, truth)),
    ...(await irregularEvents(id, truth)),
    ...(await irregularFiles(id, wanted.steps, api)),
  );
  return { lost: got === null, wrongBytes: got !== null && wanted.weights !== null && sha256(got) !== wanted.weights, irregular };
}

/** Each step has exactly one row and one event. */
async function irregularSteps(id: string, steps: number, truth: Truth): Promise<string[]> {
  const rows = await truth.query<{ step: number }>('SELECT step FROM step_metrics WHERE job_id = $1 ORDER BY step', [id]);
  const events = await truth.query<{ step: number }>(
    `SELECT (data->>'step')::int AS step FROM job_events WHERE job_id = $1 AND type = 'metrics' ORDER BY seq`,
    [id],
  );
  return [...irregularSequence('row', rows, steps), ...irregularSequence('event', events, steps)];
}

function irregularSequence(what: string, found: readonly { step: number }[], steps: number): string[] {
  const counts = new Map<number, number>();
  for (const { step } of found) counts.set(step, (counts.get(step) ?? 0) + 1);
  const missing = Array.from({ length: steps }, (_, index) => index + 1).filter((step) => !counts.has(step));
  const doubled = [...counts].filter(([, count]) => count > 1).map(([step]) => step);
  const disordered = found.some(({ step }, index) => index > 0 && step < found[index - 1]!.step);
  return [
    ...(missing.length > 0 ? [`${missing.length} steps have no ${what}: ${missing.slice(0, 8).join(', ')}`] : []),
    ...(doubled.length > 0 ? [`${doubled.length} steps have more than one ${what}: ${doubled.slice(0, 8).join(', ')}`] : []),
    ...(disordered ? [`the ${what}s of the steps are out of order`] : []),
  ];
}

async function irregularEvents(id: string, truth: Truth): Promise<string[]> {
  const events = await truth.query<{ message: string }>(`SELECT message FROM job_events WHERE job_id = $1 AND type = 'message'`, [id]);
  const messages = events.map(({ message }) => message);
  const wrongly = ONCE.map((pattern) => ({ pattern, count: messages.filter((message) => pattern.test(message)).length })).filter(
    ({ count }) => count !== 1,
  );
  const created = messages.filter((message) => message.startsWith('Checkpoint created at step'));
  const repeated = created.filter((message, index) => created.indexOf(message) !== index);
  return [
    ...wrongly.map(({ pattern, count }) => `${count} events match ${pattern.source}`),
    ...(repeated.length > 0 ? [`said more than once: ${repeated[0]}`] : []),
  ];
}

/** The results have a line for each step, every result file can be read, and so can the adapter of every checkpoint. */
async function irregularFiles(id: string, steps: number, api: Api): Promise<string[]> {
  const problems: string[] = [];
  const { result_files } = await api.job(id);
  const [results, ...others] = result_files;
  if (results === undefined) return ['the job has no result files'];
  const readable = (name: string, content: Promise<Buffer>) =>
    content.catch((error: Error) => {
      problems.push(`${name} cannot be read: ${error.message}`);
      return Buffer.alloc(0);
    });
  const lines = (await readable('the results file', api.content(results))).toString().trim().split('\n').length - 1;
  if (lines !== steps) problems.push(`the results file has ${lines} lines for ${steps} steps`);
  for (const file of others) await readable(`the result file ${file}`, api.content(file));
  for (const step of await api.checkpointSteps(id)) await readable(`the checkpoint of step ${step}`, api.checkpointAdapter(id, step));
  return problems;
}
