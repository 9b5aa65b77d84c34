import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../journey/api.ts';
import { sameAnswer } from '../journey/dataset.ts';
import { JOURNEY_KEY, makeHome, startService } from '../journey/service.ts';
import { type Ran, runGraft } from './run-graft.ts';

// Graft plays OpenAI as well: its jobs are OpenAI's, and the same job trained again is the same model.
let home: Awaited<ReturnType<typeof makeHome>>;
let service: Awaited<ReturnType<typeof startService>>;
let cwd: string;
let source: string;

const graft = (...args: string[]): Promise<Ran> => graftWith({}, ...args);
function graftWith(place: { input?: string }, ...args: string[]): Promise<Ran> {
  const address = new URL(service.url).origin;
  const env = { GRAFT_URL: address, GRAFT_API_KEY: JOURNEY_KEY, OPENAI_BASE_URL: `${address}/v1`, OPENAI_API_KEY: JOURNEY_KEY };
  return runGraft(args, { cwd, env, ...place });
}

const importJob = (...args: string[]) =>
  graft('import', 'openai', '--job', source, '--base', 'tiny', '--samples', '3', '--max-tokens', '6', '--price', '1,2', ...args);
const golden = () => readFile(join(cwd, 'openai-import/golden', `${source}.jsonl`), 'utf8');

beforeAll(async () => {
  home = await makeHome();
  cwd = await mkdtemp(join(tmpdir(), 'graft-import-'));
  service = await startService(home, { workers: 1 });
  const api = connect(service.url);
  await api.model('tiny');
  const [training_file, validation_file] = [await api.upload(sameAnswer(8)), await api.upload(sameAnswer(5, 100))];
  const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate_multiplier: 25 };
  source = (await api.create({ model: 'tiny', training_file, validation_file, seed: 3, suffix: 'theirs', hyperparameters })).id;
  expect((await api.over(source)).status).toBe('succeeded');
}, 300_000);
afterAll(async () => {
  await service?.stop();
  await home?.remove();
  await rm(cwd, { recursive: true, force: true });
});

describe('an import from OpenAI', { timeout: 300_000 }, () => {
  it('without a choice › lists the jobs and fetches nothing', async () => {
    expect(await graft('import', 'openai')).toMatchObject({ code: 0, stdout: expect.stringContaining(source), stderr: /Nothing was fetched/ });
    expect(await readdir(cwd)).toEqual([]);
  });

  it('without consent, or over the limit › asks nothing, but has the files and the job', async () => {
    expect(await importJob()).toMatchObject({ code: 2, stderr: /3 questions .*at most [\d,]+ tokens in and 18 out, \$/ });
    expect(await importJob('--yes', '--max-cost', '0')).toMatchObject({ code: 1, stderr: /--max-cost allows \$0\.00/ });
    expect(await readdir(join(cwd, 'openai-import'))).toEqual(['files', 'import.json', 'jobs']);
    expect((await readdir(join(cwd, 'openai-import/files'))).length).toBe(2);
  });

  it('with consent › records answers, and after an interruption asks only what is missing', async () => {
    expect((await importJob('--yes')).code).toBe(0);
    const whole = await golden();
    const lines = whole.trimEnd().split('\n');
    expect(lines.length).toBe(3);
    const { question, model } = JSON.parse(lines[0]!) as { question: { messages: unknown[]; reference: string }; model: string };
    expect(question).toMatchObject({ messages: [{ role: 'user' }], reference: 'one two three' });
    expect(model).toMatch(/^ft:tiny:.*:theirs:/);
    await writeFile(join(cwd, 'openai-import/golden', `${source}.jsonl`), whole.slice(0, -20)); // the last line was cut off
    const again = await importJob('--yes');
    expect(again.stderr.match(/answer \d of 3/g)).toEqual(['answer 3 of 3']);
    expect(await golden()).toBe(whole);
  });

  it('keeps no key', async () => {
    const files = (await readdir(join(cwd, 'openai-import'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files) expect(await readFile(join(parentPath, name), 'utf8')).not.toContain(JOURNEY_KEY);
    expect(files.length).toBe(5);
  });

  it('is begun once, trains the same model, and its answers are compared with the golden ones', async () => {
    const started = (await graft('import', 'start')).stdout.trim();
    expect(started).toMatch(/^ftjob-/);
    expect((await graft('import', 'start')).stdout).toMatch(/begun already/);
    const followed = await graft('jobs', 'follow', started);
    expect(followed).toMatchObject({ code: 0, stderr: /100% {2}step 4\/4/ });
    expect(followed.stdout).toMatch(/tuned model +ft:tiny:[^:]+:theirs:/);

    const { code, stdout } = await graft('import', 'compare', '--max-tokens', '6', '--json');
    expect(code).toBe(0);
    const [report] = JSON.parse(stdout).jobs;
    expect(report).toMatchObject({ imported: source, job: started });
    expect(report.scores['like the golden answer']).toEqual({ golden: 1, fresh: 1 });
    expect(report.answers.map(({ fresh }: { fresh: { answer: string } }) => fresh.answer)).toEqual(
      (await golden())
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).answer),
    );
    const shown = await graft('import', 'compare', '--max-tokens', '6', '--show', '1');
    expect(shown.stdout).toMatch(/> Question \d+\?\n.*GOLDEN.*│ HERE/);
  });

  it('chat and adapters download › reach the model that was made', async () => {
    const models = JSON.parse((await graft('models', '--json')).stdout).data as { id: string; job_id?: string }[];
    const tuned = models.find(({ job_id: id }) => id === source)!;
    const asked = ['chat', tuned.id, '--temperature', '0', '--max-tokens', '4'];
    const fromWords = await graft(...asked, 'Question', '101?', '--json');
    const fromStdin = await graftWith({ input: 'Question 101?\n' }, ...asked);
    expect(fromStdin).toMatchObject({ code: 0, stdout: `${JSON.parse(fromWords.stdout).content}\n` });
    expect((await graft('adapters', 'download', tuned.id, '--out', 'adapter')).code).toBe(0);
    expect(await readdir(join(cwd, 'adapter'))).toEqual(expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']));
  });

  it('export create › waits until a worker has made it, and downloads its files', async () => {
    const tuned = (await connect(service.url).job(source)).fine_tuned_model!;
    const exported = ['export', 'create', tuned, '--format'];
    expect(await graft(...exported, 'mlx_adapter', '--dtype', 'q8_0')).toMatchObject({ code: 1, stderr: /no type "q8_0"/ });
    const made = await graft(...exported, 'mlx_adapter', '--out', 'mlx', '--json');
    expect(made.code, made.stderr).toBe(0);
    expect(await readdir(join(cwd, 'mlx'))).toEqual(expect.arrayContaining(['adapter_config.json', 'adapters.safetensors']));
    const { export: id } = JSON.parse(made.stdout) as { export: string };
    expect((await graft('export', 'list')).stdout).toContain(id);
    expect((await graft('export', 'delete', id)).code).toBe(0);
    expect((await graft('export', 'show', id)).code).toBe(1);
  });
});
