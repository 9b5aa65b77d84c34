import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildApp } from '../../src/app.ts';
import { DEFAULT_PROJECT } from '../../src/ids.ts';
import { storeTunedModel } from '../exports/tuned-model.ts';
import { filesOf, PEFT_ADAPTER, tarOfFiles } from '../files/adapter-tar.ts';
import { newJob } from '../jobs/new-job.ts';
import { API_KEY, type RunningService, runService } from '../running-service.ts';
import { runGraft, startGraft } from './run-graft.ts';

let service: RunningService;
let cwd: string;
let signedIn: { cwd: string; env: Record<string, string> };

beforeAll(async () => {
  service = await runService();
  cwd = await mkdtemp(join(tmpdir(), 'graft-cli-'));
  signedIn = { cwd, env: { GRAFT_URL: service.address, GRAFT_API_KEY: API_KEY } };
});
afterAll(async () => {
  await service?.close();
  await rm(cwd, { recursive: true, force: true });
});

/** Runs the command, which must succeed. @returns what it printed */
async function graft(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runGraft(args, signedIn);
  expect(code, stderr).toBe(0);
  return stdout.trimEnd();
}
const graftJson = async <T = Record<string, unknown>>(...args: string[]): Promise<T> => JSON.parse(await graft(...args, '--json')) as T;

const line = (question: string, more: object = {}) =>
  `${JSON.stringify({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: 'yes', ...more },
    ],
  })}\n`;

const makeJob = async () => (await service.services.jobs.create(DEFAULT_PROJECT, newJob())).job.id;
const say = (id: string, message: string) => service.services.jobRecord.appendEvent(id, { level: 'info', message });

describe('login', () => {
  it('keeps a key that works, for its user alone, and sends it to that address alone', async () => {
    const wrong = await runGraft(['login', service.address, '--key-stdin'], { cwd, input: 'graft-wrong-key-000' });
    expect(wrong).toMatchObject({ code: 4, stdout: '' });
    const kept = await runGraft(['login', `${service.address}/v1/`, '--key-stdin'], { cwd, input: `${API_KEY}\n` });
    expect(kept).toMatchObject({ code: 0, stderr: '' });
    expect((await stat(join(cwd, 'config/graft/config.json'))).mode & 0o777).toBe(0o600);
    expect(await runGraft(['status', '--json'], { cwd })).toMatchObject({ code: 0 });

    const authorizations: unknown[] = [];
    const other = createServer((request, response) => {
      authorizations.push(request.headers.authorization);
      response.end('{}');
    });
    await once(other.listen(0, '127.0.0.1'), 'listening');
    const elsewhere = await runGraft(['models', '--url', `http://127.0.0.1:${(other.address() as AddressInfo).port}`], { cwd });
    other.close();
    expect(elsewhere.code).toBe(4);
    expect(authorizations).toEqual([]);

    await runGraft(['logout'], { cwd, env: { GRAFT_URL: service.address } });
    expect(await readFile(join(cwd, 'config/graft/config.json'), 'utf8')).not.toContain(API_KEY);
  });
});

describe('exit codes', () => {
  it.each([
    [1, ['jobs', 'show', 'ftjob-none'], {}],
    [2, ['jobs', 'crate'], {}],
    [2, ['jobs', 'create', '--model', 'graft-tiny'], {}],
    [2, ['files', 'list', '--limit', 'many'], {}],
    [3, ['models'], { GRAFT_URL: 'http://127.0.0.1:9' }],
    [4, ['models'], { GRAFT_API_KEY: 'graft-wrong-key-000' }],
    [4, ['models'], { GRAFT_API_KEY: '' }],
  ] as const)('%i › graft %j', async (code, args, env) => {
    const ran = await runGraft(args, { cwd, env: { ...signedIn.env, ...env } });
    expect(ran.code).toBe(code);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).not.toMatch(/\n\s+at /); // no stack
  });

  it('with --json › an error is JSON with the code of the service', async () => {
    const { stderr } = await runGraft(['jobs', 'show', 'ftjob-none', '--json'], signedIn);
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'fine_tune_not_found', exit_code: 1, request_id: expect.stringMatching(/^req_/) });
  });
});

describe('files', () => {
  it('validate › finds on this machine what the service finds', async () => {
    await writeFile(join(cwd, 'bad.jsonl'), line('a') + line('b', { wieght: 0 }) + line('c', { weight: -1 }));
    const local = await runGraft(['files', 'validate', 'bad.jsonl', '--json'], { cwd });
    expect(local.code).toBe(1);
    const uploaded = await runGraft(['files', 'upload', 'bad.jsonl', '--json'], signedIn);
    expect(uploaded.code).toBe(1);
    const { object: _object, file_id: _id, tokens: _tokens, ...judged } = JSON.parse(uploaded.stdout).validation;
    expect(JSON.parse(local.stdout)).toEqual({ file: 'bad.jsonl', ...judged });
    expect(judged.problem_count).toBe(2);
  });

  it('upload and download › a large file goes in parts, and comes back whole from where a download stopped', async () => {
    const bytes = randomBytes(10 * 1024 * 1024);
    await writeFile(join(cwd, 'large.bin'), bytes);
    const { id } = await graftJson<{ id: string }>('files', 'upload', 'large.bin', '--purpose', 'user_data');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(cwd, `back.bin.${sha256.slice(0, 12)}.part`), bytes.subarray(0, 7_000_000));
    expect(await graftJson('files', 'download', id, '--out', 'back.bin')).toMatchObject({ sha256, bytes: bytes.length });
    expect((await readFile(join(cwd, 'back.bin'))).equals(bytes)).toBe(true);
    // What is left of a download is taken on trust until the end, and the end is checked.
    await writeFile(join(cwd, `wrong.bin.${sha256.slice(0, 12)}.part`), randomBytes(7_000_000));
    expect(await runGraft(['files', 'download', id, '--out', 'wrong.bin'], signedIn)).toMatchObject({ code: 1, stderr: /another hash/ });
    expect((await readdir(cwd)).filter((name) => name.startsWith('wrong.bin'))).toEqual([]);
  });

  it('upload of a table › maps its columns', async () => {
    await writeFile(join(cwd, 'faq.csv'), 'question,answer\nwhere,here\n');
    const { id } = await graftJson<{ id: string }>('files', 'upload', 'faq.csv', '--map', 'prompt=question', '--map', 'completion=answer');
    await graft('files', 'download', id, '--out', 'faq.jsonl');
    expect(JSON.parse(await readFile(join(cwd, 'faq.jsonl'), 'utf8'))).toEqual({ prompt: 'where', completion: 'here' });
  });
});

describe('jobs', () => {
  it('create › takes a file, options before it, and paths, whose content is uploaded once', async () => {
    await writeFile(join(cwd, 'train.jsonl'), line('one') + line('two'));
    await writeFile(
      join(cwd, 'job.yaml'),
      'model: graft-tiny\ntraining_file: train.jsonl\nhyperparameters: { n_epochs: 3, learning_rate: 2e-4 }\ntuning: { r: 4 }\n',
    );
    const args = ['jobs', 'create', '-f', 'job.yaml', '--learning-rate', '1e-3', '--set', 'tuning.use_rslora=true', '--metadata', 'team=support'];
    const first = await graftJson<{ id: string; training_file: string }>(...args);
    expect(first).toMatchObject({
      hyperparameters: { n_epochs: 3, learning_rate: 1e-3 },
      tuning: { type: 'lora', r: 4, use_rslora: true },
      metadata: { team: 'support' },
    });
    expect(await graftJson(...args)).toMatchObject({ training_file: first.training_file });
    expect(await graft('jobs', 'list', '--metadata', 'team=support')).toContain(first.id);
    expect(await graft('jobs', 'cancel', first.id)).toBe(`${first.id} is cancelled`);
    expect(await graft('jobs', 'delete', first.id)).toBe(`${first.id} is deleted`);
  });

  it('create › with paths for every file that a job may have › uploads each, and an adapter in a tar too', async () => {
    await mkdir(join(cwd, 'data'));
    const fields = ['training_file', 'validation_file', 'evaluation_file', 'retention_file'];
    for (const field of fields) await writeFile(join(cwd, 'data', `${field}.jsonl`), line(field) + line('two'));
    await writeFile(join(cwd, 'data', 'adapter.tar'), await tarOfFiles(filesOf(PEFT_ADAPTER)));
    const grader = {
      ...{ type: 'string_check', name: 'equal', operation: 'eq' },
      ...{ input: '{{sample.output_text}}', reference: '{{item.reference_answer}}' },
    };
    const paths = Object.fromEntries(fields.slice(0, 3).map((field) => [field, `${field}.jsonl`]));
    const request = { model: 'graft-tiny', ...paths, start_from: 'adapter.tar', evaluations: [grader], analysis: true };
    await writeFile(join(cwd, 'data', 'job.json'), JSON.stringify(request));
    const args = ['jobs', 'create', '-f', 'data/job.json', '--set', 'retention_file=data/retention_file.jsonl'];
    const job = await graftJson<Record<string, string>>(...args);
    const names = { ...Object.fromEntries(fields.map((field) => [field, `${field}.jsonl`])), start_from: 'adapter.tar' };
    for (const [field, filename] of Object.entries(names))
      expect(await service.client.files.retrieve(job[field]!), field).toMatchObject({ filename, purpose: 'fine-tune', status: 'processed' });
    const again = await graftJson<Record<string, string>>(...args);
    for (const field of Object.keys(names)) expect(again[field], field).toBe(job[field]);
    for (const { id } of [job, again]) await graft('jobs', 'delete', id!);
  });

  it('create › with a file that has problems › sends nothing', async () => {
    await writeFile(join(cwd, 'broken.jsonl'), '{"messages": []}\n');
    const before = (await service.client.files.list()).data.length;
    const ran = await runGraft(['jobs', 'create', '--model', 'graft-tiny', '--training-file', 'broken.jsonl'], signedIn);
    expect(ran).toMatchObject({ code: 1, stderr: /line 1 has no messages/ });
    expect((await service.client.files.list()).data.length).toBe(before);
  });

  it('follow › while the service restarts › has every event once, in order, and ends with 1 for a job that was cancelled', async () => {
    const id = await makeJob();
    const { ended, child } = startGraft(['jobs', 'follow', id, '--json'], signedIn);
    let seen = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await say(id, 'before');
    await expect.poll(() => seen, { timeout: 20_000 }).toContain('before');
    const { port } = new URL(service.address);
    await service.app.close();
    await say(id, 'meanwhile');
    await delay(1_000);
    service.app = await buildApp(service.services, { apiKey: API_KEY });
    await service.app.listen({ host: '127.0.0.1', port: Number(port) });
    await say(id, 'after');
    await expect.poll(() => seen, { timeout: 20_000 }).toContain('after');
    await service.client.fineTuning.jobs.cancel(id);
    const { code, stdout } = await ended;
    expect(code).toBe(1);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text) as { object: string; message?: string; status?: string });
    expect(lines.filter(({ object }) => object === 'fine_tuning.job.event').map(({ message }) => message)).toEqual([
      'before',
      'meanwhile',
      'after',
      'The job has been cancelled',
    ]);
    expect(lines.at(-1)).toMatchObject({ object: 'fine_tuning.job', status: 'cancelled' });
  });

  it('follow › on Ctrl-C › ends with 130 and leaves the job alone', async () => {
    const id = await makeJob();
    await say(id, 'before');
    const { ended, child } = startGraft(['jobs', 'follow', id], signedIn);
    let seen = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
    });
    await expect.poll(() => seen, { timeout: 20_000 }).toContain('before');
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 130, stderr: /The job runs on/ });
    expect((await service.client.fineTuning.jobs.retrieve(id)).status).toBe('validating_files');
    await service.client.fineTuning.jobs.cancel(id);
  });
});

describe('sweep', () => {
  it('has the service create a job for each combination, and is found by its name', async () => {
    await writeFile(join(cwd, 'swept.jsonl'), line('one') + line('two'));
    const job = ['--model', 'graft-tiny', '--training-file', 'swept.jsonl', '--metric', 'train_loss', '--seed', '7'];
    const vary = ['--vary', 'learning_rate=1e-4,2e-4', '--vary', 'r=4,8'];
    const { id, seed } = await graftJson<{ id: string; seed: number }>('sweep', 'create', 'rates', ...job, ...vary);
    expect(seed).toBe(7);
    const { trials, search } = await graftJson<{ trials: { values: object }[]; search: object }>('sweep', 'show', 'rates');
    expect(search).toEqual({ strategy: 'grid', parameters: { 'hyperparameters.learning_rate': [1e-4, 2e-4], 'tuning.r': [4, 8] } });
    const values = (rate: number, r: number) => ({ 'hyperparameters.learning_rate': rate, 'tuning.r': r });
    expect(trials.map((trial) => trial.values)).toEqual([values(1e-4, 4), values(1e-4, 8), values(2e-4, 4), values(2e-4, 8)]);
    expect(await graft('sweep', 'show', id)).toMatch(/r=8 learning_rate=0\.0002 +(pending|validating_files)/);
    expect(await graft('sweep', 'list')).toMatch(new RegExp(`${id} .* running +0/4 +rates`));
    expect(await graft('sweep', 'cancel', 'rates')).toBe(`${id} is cancelled`);
    // It has ended, so there is nothing to wait for; and it has no winner.
    expect(await runGraft(['sweep', 'follow', 'rates', '--json'], signedIn)).toMatchObject({ code: 1, stderr: '' });
    expect(await graft('sweep', 'delete', 'rates')).toBe(`${id} is deleted`);
    expect(await runGraft(['sweep', 'show', 'rates'], signedIn)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no sweep "rates"'),
    });
  });

  it('varies a file of the job by paths, which are uploaded', async () => {
    for (const name of ['one', 'two']) await writeFile(join(cwd, `${name}.jsonl`), line(name));
    const job = ['--model', 'graft-tiny', '--training-file', 'swept.jsonl', '--metric', 'train_loss', '--set', 'analysis=true'];
    const vary = ['--vary', 'retention_file=one.jsonl,two.jsonl'];
    const { id, search } = await graftJson<{ id: string; search: { parameters: Record<string, string[]> } }>(
      'sweep',
      'create',
      'kept',
      ...job,
      ...vary,
    );
    const files = await Promise.all(search.parameters['retention_file']!.map((file) => service.client.files.retrieve(file)));
    expect(files.map(({ filename }) => filename)).toEqual(['one.jsonl', 'two.jsonl']);
    await graft('sweep', 'delete', id);
  });

  it('draws values of ranges, for successive halving', async () => {
    const job = ['--model', 'graft-tiny', '--training-file', 'swept.jsonl', '--metric', 'train_loss'];
    const { id, search } = await graftJson<{ id: string; search: object }>(
      ...['sweep', 'create', 'wide', ...job, '--vary', 'learning_rate=1e-5..1e-2:log', '--vary', 'r=4..64:integer'],
      ...['--sample', '4', '--halving', '2', '--eta', '2'],
    );
    const parameters = { 'hyperparameters.learning_rate': { min: 1e-5, max: 1e-2, scale: 'log' }, 'tuning.r': { min: 4, max: 64, type: 'integer' } };
    expect(search).toEqual({ strategy: 'successive_halving', min_steps: 2, eta: 2, n: 4, parameters });
    await graft('sweep', 'delete', id);
    expect(await runGraft(['sweep', 'create', 'bad', ...job, '--vary', 'r=4,8', '--eta', '2'], signedIn)).toMatchObject({ code: 2 });
  });

  it('varies lists and objects, whose commas are their own', async () => {
    const job = ['--model', 'graft-tiny', '--training-file', 'swept.jsonl', '--metric', 'train_loss'];
    const vary = ['--vary', 'tuning={type: lora, r: 8},{type: full}'];
    const { id, search } = await graftJson<{ id: string; search: object }>('sweep', 'create', 'methods', ...job, ...vary);
    expect(search).toEqual({ strategy: 'grid', parameters: { tuning: [{ type: 'lora', r: 8 }, { type: 'full' }] } });
    await graft('sweep', 'delete', id);
    expect(await runGraft(['sweep', 'create', 'bad', ...job, '--vary', 'tuning={type: lora'], signedIn)).toMatchObject({ code: 2 });
  });
});

describe('export', () => {
  it('is created, shown with what happened to it, and cancelled', async () => {
    const { model } = await storeTunedModel(service);
    const id = await graft('export', 'create', model, '--format', 'gguf', '--no-wait');
    expect(await graft('export', 'cancel', id)).toBe(`${id} is cancelled`);
    expect(await graft('export', 'show', id)).toMatch(
      /status +cancelled.*\nEvents\n[^\n]*Created export of [^\n]*\n[^\n]*The export has been cancelled$/s,
    );
  });
});

describe('output', () => {
  it('that is no terminal › has no colours, and nothing that a terminal would obey', async () => {
    const id = await makeJob();
    await say(id, 'title \u001b]0;gone\u0007 and \u001b[31mred');
    const shown = await graft('jobs', 'show', id);
    expect(shown).toContain('title \\u001b]0;gone\\u0007 and');
    expect(shown).not.toContain('\u001b');
    await service.client.fineTuning.jobs.cancel(id);
  });
});

describe('completion', () => {
  it.each(['bash', 'zsh', 'fish'])('for %s › is printed', async (shell) => {
    expect(await graft('complete', shell)).toContain('graft complete --');
  });

  it('knows commands and options', async () => {
    expect(await graft('complete', '--', 'jobs', 'cr')).toContain('create\t');
    expect(await graft('complete', '--', 'jobs', 'create', '--tr')).toContain('--training-file\t');
  });
});
