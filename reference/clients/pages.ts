/** Does what README.md and docs/from-openai.md tell a new user to do, in a folder of their own, with the words of the pages. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const FIRST_JOB = join(ROOT, 'docs/first-job.mjs');
/** The address that the pages write. */
const WRITTEN = 'http://127.0.0.1:3000';
const PROGRAM_MS = 300_000;

interface Reader {
  /** `http://127.0.0.1:PORT` */
  url: string;
  key: string;
  dataset: string;
  python: string;
}

/** @returns what went wrong, page by page */
export async function followPages(reader: Reader): Promise<string[]> {
  const tries: Record<string, (reader: Reader, folder: string) => Promise<void>> = {
    'README.md, with curl': withCurl,
    'README.md, docs/first-job.mjs': firstJob,
    'docs/from-openai.md': fromOpenAI,
  };
  const results = Object.entries(tries).map(async ([name, attempt]) => {
    const folder = newFolder(reader);
    try {
      await attempt(reader, folder);
      return [];
    } catch (error) {
      return [`${name}: ${error instanceof Error ? error.message : String(error)}`];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  return (await Promise.all(results)).flat();
}

/** A working folder as it is after `npm start` and `npm run demo:data`, with fewer examples. */
function newFolder({ key, dataset }: Reader): string {
  const folder = mkdtempSync(join(tmpdir(), 'graft-reader-'));
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'data/api-key'), `${key}\n`);
  writeFileSync(join(folder, 'train.jsonl'), dataset);
  writeFileSync(join(folder, 'validation.jsonl'), dataset.split('\n').slice(0, 2).join('\n'));
  return folder;
}

/** The first code block of that language on a page that contains the text. @throws Error if no block does */
function block(page: string, language: string, containing: string): string {
  const blocks = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const found = blocks.find(([, of, text]) => of === language && text!.includes(containing));
  if (found === undefined) throw new Error(`${page} has no ${language} block with "${containing}"`);
  return found[2]!;
}

/** Every step; between watching and downloading, the reader waits until the job has succeeded. */
async function withCurl({ url }: Reader, folder: string): Promise<void> {
  const steps = block('README.md', 'sh', '# 4. Download').replaceAll(WRITTEN, url).replace('npm run demo:data\n', '');
  const wait = `until curl -fsS $API/fine_tuning/jobs/$JOB -H "Authorization: Bearer $KEY" | grep -q '"succeeded"'; do sleep 1; done\n`;
  await run('bash', ['-euo', 'pipefail', '-c', steps.replace('# 4.', `${wait}# 4.`)], { cwd: folder, timeout: PROGRAM_MS });
  for (const file of ['adapter_config.json', 'adapter_model.safetensors'])
    if (statSync(join(folder, 'adapter', file)).size === 0) throw new Error(`${file} is empty`);
}

/** The environment that a page's export makes, with the service's address. */
const exported = (page: string, { url }: Reader): string => block(page, 'sh', 'export OPENAI_BASE_URL').split('\n')[0]!.replaceAll(WRITTEN, url);

async function firstJob(reader: Reader, folder: string): Promise<void> {
  if (block('README.md', 'js', 'new OpenAI') !== readFileSync(FIRST_JOB, 'utf8'))
    throw new Error('README.md does not show docs/first-job.mjs as it is');
  const { stdout } = await run('bash', ['-ec', `${exported('README.md', reader)}\nnode ${FIRST_JOB}`], { cwd: folder, timeout: PROGRAM_MS });
  if (!/^succeeded ft:graft-tiny:/.test(stdout)) throw new Error(`docs/first-job.mjs says "${stdout}"`);
}

async function fromOpenAI(reader: Reader, folder: string): Promise<void> {
  writeFileSync(join(folder, 'move.py'), block('docs/from-openai.md', 'python', 'OpenAI()'));
  const script = `${exported('docs/from-openai.md', reader)}\n${reader.python} move.py`;
  const { stdout } = await run('bash', ['-ec', script], { cwd: folder, timeout: PROGRAM_MS });
  const id = /^(ftjob-\S+) validating_files/.exec(stdout)?.[1];
  if (id === undefined) throw new Error(`the program says "${stdout}"`);
  const headers = { authorization: `Bearer ${reader.key}` };
  for (const deadline = Date.now() + PROGRAM_MS; ; await delay(500)) {
    const { status } = (await (await fetch(`${reader.url}/v1/fine_tuning/jobs/${id}`, { headers })).json()) as { status: string };
    if (status === 'succeeded') return;
    if (['failed', 'cancelled'].includes(status) || Date.now() > deadline) throw new Error(`its job is ${status}`);
  }
}
