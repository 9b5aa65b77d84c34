/** `graft import openai`: jobs of OpenAI, with their data and what their models answer, into a folder. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { APIError } from 'openai';
import { quantity } from '../../src/formats/quantity.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure, usageFailure } from '../exit-code.ts';
import { bytes, time } from '../terminal/amounts.ts';
import { confirm } from '../terminal/ask.ts';
import { safeLine, table } from '../terminal/text.ts';
import { type Bound, boundOf, dollarsText, type Price, priceOf, sumOf } from './cost.ts';
import { type Manifest, newImportId, readManifest, writeManifest } from './folder.ts';
import { type Golden, goldenWork, recordGolden } from './golden.ts';
import { preparedPath, preparedRequest, writePrepared } from './prepare.ts';
import { fetchFile, listSourceJobs, openSource, type Source, type SourceJob } from './source.ts';

export interface ImportOptions {
  dir: string;
  job: string[];
  all?: boolean;
  base?: string;
  samples: number;
  maxTokens: number;
  price?: Price;
  maxCost?: number;
  yes?: boolean;
}

export async function importOpenAI(options: ImportOptions, { output }: Context): Promise<void> {
  const source = openSource();
  const jobs = await listSourceJobs(source);
  if (!options.all && options.job.length === 0) return showJobs(jobs, output);
  const chosen = chooseJobs(jobs, options);
  const known = await readManifest(options.dir);
  if (known !== null && known.source !== source.url)
    throw usageFailure(`The import in ${options.dir} is from ${known.source}`, `For ${source.url}, choose another folder: --dir.`);
  const manifest: Manifest = structuredClone(known) ?? { format: 1, id: newImportId(), source: source.url, jobs: {}, files: {} };
  for (const job of chosen) {
    const before = manifest.jobs[job.id];
    manifest.jobs[job.id] = { source: job, base: options.base ?? before?.base ?? null, started: before?.started ?? null };
  }
  await writeManifest(options.dir, manifest);
  await fetchFiles(chosen, manifest, { options, source, output });
  const prepared = await prepare(chosen, manifest, { dir: options.dir, known });
  const golden = await askGolden(chosen, manifest, { options, source, output });
  const summary = chosen.map(({ id }) => ({ job: id, golden: golden.get(id) ?? 0, prepared: prepared.get(id) ?? null }));
  output.result(
    { folder: options.dir, jobs: summary },
    summary
      .map((line) => `${line.job}: ${quantity(line.golden, 'golden answer')}${line.prepared === null ? '' : `, prepared in ${line.prepared}`}`)
      .join('\n'),
  );
  output.note(
    output.tint(
      'dim',
      options.base === undefined
        ? `Train them here: graft import start --dir ${options.dir} --base MODEL`
        : `Train them here: graft import start --dir ${options.dir}`,
    ),
  );
}

const succeeded = (jobs: readonly SourceJob[]) => jobs.filter(({ status, fine_tuned_model: model }) => status === 'succeeded' && model !== null);

function showJobs(jobs: readonly SourceJob[], output: Context['output']): void {
  const rows = jobs.map((job) => [job.id, time(job.created_at), job.status, safeLine(job.model), safeLine(job.fine_tuned_model ?? '')]);
  const text =
    rows.length === 0 ? 'This key sees no fine-tuning jobs.' : table(['ID', 'CREATED', 'STATUS', 'MODEL', 'TUNED MODEL'], rows, output.paint);
  output.result({ jobs }, text);
  output.note(output.tint('dim', 'Nothing was fetched. Choose with --job ID (repeatable), or --all for all that have succeeded.'));
}

/** @throws Failure */
function chooseJobs(jobs: readonly SourceJob[], { all, job: ids }: ImportOptions): SourceJob[] {
  const unknown = ids.filter((id) => !jobs.some((job) => job.id === id));
  if (unknown.length > 0) throw usageFailure(`This key sees no job ${unknown.join(', ')}`, '`graft import openai` lists those that it sees.');
  const chosen = all ? succeeded(jobs) : jobs.filter(({ id }) => ids.includes(id));
  if (chosen.length === 0) throw new Failure('No job has succeeded, so there is nothing to import');
  return chosen;
}

interface Needs {
  options: ImportOptions;
  source: Source;
  output: Context['output'];
}

/** Reading costs nothing. */
async function fetchFiles(jobs: readonly SourceJob[], manifest: Manifest, { options, source, output }: Needs): Promise<void> {
  const ids = new Set(
    jobs.flatMap(({ training_file: training, validation_file: validation }) => [training, ...(validation === null ? [] : [validation])]),
  );
  for (const id of ids) {
    if (!/^[\w-]+$/.test(id)) throw new Failure(`"${safeLine(id)}" is not the id of a file`); // it becomes a file's name
    const path = join('files', `${id}.jsonl`);
    const size = await fetchFile(id, join(options.dir, path), source);
    manifest.files[id] = { path: size === null ? null : path, bytes: size ?? 0 };
    output.note(size === null ? output.tint('yellow', `${id}: OpenAI no longer has it`) : `${id}: ${bytes(size)}`);
    await writeManifest(options.dir, manifest);
  }
}

/** @returns how many golden answers each job has */
async function askGolden(jobs: readonly SourceJob[], manifest: Manifest, { options, source, output }: Needs): Promise<Map<string, number>> {
  const { samples, maxTokens, dir } = options;
  const work: Golden[] = [];
  const bounds: Bound[] = [];
  for (const job of jobs) {
    const golden = await goldenWork(dir, manifest, { job, samples });
    if (golden === null) continue;
    work.push(golden);
    if (golden.open.length === 0) continue;
    const bound = boundOf(golden.open, { maxTokens, price: options.price ?? priceOf(job.model) });
    bounds.push(bound);
    output.note(`${job.id}: asks ${safeLine(golden.model)} ${quantity(bound.questions, 'question')} of ${golden.from}, ${boundText(bound)}`);
  }
  const total = sumOf(bounds);
  if (total.questions > 0 && (await mayAsk(total, { options, source, output })))
    for (const golden of work) await askAll(golden, { options, source, output });
  return new Map(work.map(({ job, done }) => [job.id, done.length]));
}

const boundText = ({ inputTokens, outputTokens, dollars }: Bound): string =>
  `at most ${inputTokens.toLocaleString('en')} tokens in and ${outputTokens.toLocaleString('en')} out${dollars === null ? '; the price is not known (--price)' : `, ${dollarsText(dollars)}`}`;

/** @throws Failure where nobody can agree */
async function mayAsk(total: Bound, { options, source, output }: Needs): Promise<boolean> {
  const text = `${quantity(total.questions, 'question')} to ${source.url}: ${boundText(total)}`;
  if (options.maxCost !== undefined && (total.dollars === null || total.dollars > options.maxCost))
    throw new Failure(`${text}; --max-cost allows ${dollarsText(options.maxCost)}`, {
      hint: total.dollars === null ? 'Say what it costs: --price IN,OUT.' : 'Ask fewer questions (--samples), or for shorter answers (--max-tokens).',
    });
  output.note(`In all ${text}`);
  if (options.yes) return true;
  if (!process.stdin.isTTY)
    throw new Failure('Nobody agreed to these questions, so none was asked', { exitCode: EXIT.usage, hint: '--yes agrees; --samples 0 asks none.' });
  const agreed = await confirm('Ask them?');
  if (!agreed) output.note('None was asked.');
  return agreed;
}

/** A model that no longer answers costs its own golden answers and nothing else. */
async function askAll(golden: Golden, { options, source, output }: Needs): Promise<void> {
  try {
    await recordGolden(options.dir, golden, {
      source,
      maxTokens: options.maxTokens,
      onAnswer: (done, all) => output.note(`${golden.job.id}: answer ${done} of ${all}`),
    });
  } catch (error) {
    if (!(error instanceof APIError) || ![400, 403, 404].includes(error.status ?? 0)) throw error;
    process.exitCode = EXIT.failed;
    output.note(output.tint('red', `${golden.job.id}: ${safeLine(golden.model)} does not answer: ${safeLine(error.message)}`));
  }
}

/**
 * Leaves alone what is prepared for the same base: it may have been changed by hand.
 * @returns where each job is prepared
 */
async function prepare(
  jobs: readonly SourceJob[],
  manifest: Manifest,
  { dir, known }: { dir: string; known: Manifest | null },
): Promise<Map<string, string>> {
  const prepared = new Map<string, string>();
  for (const { id } of jobs) {
    const { source, base } = manifest.jobs[id]!;
    if (base === null) continue;
    const request = preparedRequest({ source, base }, manifest.files);
    if (request === null) continue;
    const path = preparedPath(dir, id);
    if (!existsSync(path) || known?.jobs[id]?.base !== base) await writePrepared(dir, { source, base }, request);
    prepared.set(id, path);
  }
  return prepared;
}
