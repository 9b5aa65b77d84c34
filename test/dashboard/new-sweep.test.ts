import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rungsOf as rungsOfService } from '../../src/sweeps/search.ts';
import { asCurl, sweepAsNode } from '../../web/lib/as-code.js';
import { type Draft, emptyDraft } from '../../web/lib/draft.js';
import { emptySearch, OTHER, type Search, sweepProblemOf, sweepRequestOf, type Varied, variedOf } from '../../web/lib/search.js';
import { sweepAsGraft } from '../../web/lib/sweep-as-graft.js';
import { jobsOf, rungsOf } from '../../web/lib/trials.js';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const URL_PATH = '/fine_tuning/sweeps';

let service: RunningService;
let draft: Draft;
let cwd: string;
beforeAll(async () => {
  service = await runService();
  const [training_file, validation_file] = [await service.upload(), await service.upload('{"prompt":"c","completion":"d"}\n')];
  draft = { ...emptyDraft(), model: 'graft-tiny', training_file, validation_file, tuning: { r: '8' }, beside: { seed: '7' } };
  cwd = await mkdtemp(join(tmpdir(), 'graft-sweep-form-'));
  const program = join(cwd, 'graft');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'cli/graft.mjs')}' "$@"\n`);
  await chmod(program, 0o755);
});
afterAll(async () => {
  await service?.close();
  await rm(cwd, { recursive: true, force: true });
});

const varied = (chosen: string, values: Partial<Varied>): Varied => ({ ...variedOf(emptyDraft(), chosen), ...values });
const rates = (values = '1e-4, 5e-4') => varied('hyperparameters.learning_rate', { values });
const rateRange = () => varied('hyperparameters.learning_rate', { isRange: true, min: '1e-5', max: '1e-2' });
const ranks = () => varied('tuning.r', { values: '4 8 16' });
const search = (change: Partial<Search>): Search => ({ ...emptySearch(), ...change });

interface Made {
  id: string;
  jobs: { total: number };
  search: object;
}

/** Posts what the form would. */
async function create(of: Search): Promise<Made> {
  const answer = await service.post(`/v1${URL_PATH}`, sweepRequestOf(draft, of));
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json() as Made;
}
const remove = (id: string) => service.inject({ method: 'DELETE', url: `/v1${URL_PATH}/${id}` });

describe('the form of a sweep › its request', () => {
  it('has each field by its path, with values or a range as the API takes them', () => {
    const { search: asked } = sweepRequestOf(
      draft,
      search({
        strategy: 'random',
        numbers: { n: '3', min_steps: '20' },
        varied: [
          rateRange(),
          varied('tuning.r', { isRange: true, min: '4', max: '64' }),
          varied('hyperparameters.lr_scheduler_type', { values: 'linear, cosine' }),
          varied('tuning.target_modules', { values: 'q_proj, v_proj\nall-linear' }),
          varied(OTHER, { path: ' tuning.use_dora ', values: 'true\nfalse\n' }),
        ],
      }),
    );
    expect(asked).toEqual({
      strategy: 'random',
      n: 3,
      parameters: {
        'hyperparameters.learning_rate': { min: 1e-5, max: 1e-2, scale: 'log' },
        'tuning.r': { min: 4, max: 64, type: 'integer' },
        'hyperparameters.lr_scheduler_type': ['linear', 'cosine'],
        'tuning.target_modules': [['q_proj', 'v_proj'], 'all-linear'],
        'tuning.use_dora': [true, false],
      },
    });
  });

  it('has the budget, unless successive halving decides it', () => {
    const request = (strategy: string) => sweepRequestOf(draft, search({ strategy, budget: '500', budgetOf: 'tokens' }));
    expect(request('grid').budget).toEqual({ tokens: 500 });
    expect(request('successive_halving')).not.toHaveProperty('budget');
  });

  const LEARNING_RATE = 'search.parameters.hyperparameters.learning_rate';
  it.each([
    ['without a field that differs', [], 'search.parameters'],
    ['for a field without values', [rates('')], LEARNING_RATE],
    ['for a field that is there twice', [rates(), rates()], LEARNING_RATE],
    ['for a range without an end', [varied('hyperparameters.learning_rate', { isRange: true, min: '1' })], LEARNING_RATE],
    ['for a field without a path', [varied(OTHER, { values: '1' })], 'search.parameters.'],
  ])('is not sent %s', (_when, fields, param) => {
    expect(sweepProblemOf(draft, search({ varied: fields }))).toMatchObject({ param });
  });
});

describe('the form of a sweep › how many jobs it says there will be', () => {
  it.each([
    ['a grid', () => ({ varied: [rates(), ranks()] }), 6],
    ['drawn of a list', () => ({ strategy: 'random', numbers: { n: '4' }, varied: [rates(), ranks()] }), 4],
    ['drawn of a range', () => ({ strategy: 'random', numbers: { n: '5' }, varied: [rateRange()] }), 5],
    ['halved, every combination', () => ({ strategy: 'successive_halving', numbers: { min_steps: '5', eta: '2' }, varied: [rates(), ranks()] }), 6],
    ['halved, drawn', () => ({ strategy: 'successive_halving', numbers: { n: '9', min_steps: '20' }, varied: [rateRange()] }), 9],
  ])('of %s are those that the service makes, compared at the same steps', async (_what, change, expected) => {
    const of = search(change());
    const { search: asked } = sweepRequestOf(draft, of);
    const made = await create(of);
    expect([jobsOf(asked), made.jobs.total]).toEqual([expected, expected]);
    const rungs = rungsOfService(made.search as never, expected);
    expect(rungsOf(asked).map(({ step }) => step)).toEqual(rungs.map(({ step }) => step));
    expect(rungsOf(asked).map(({ jobs }) => jobs)).toEqual([expected, ...rungs.map(({ keep }) => keep)].slice(0, rungs.length));
    await remove(made.id);
  });

  it.each([
    ['a grid of a range', () => ({ varied: [rateRange()] }), 'search.parameters.hyperparameters.learning_rate'],
    ['a draw of unknown size', () => ({ strategy: 'random', varied: [rates()] }), 'search.n'],
    ['a draw of more than there are', () => ({ strategy: 'random', numbers: { n: '9' }, varied: [rates()] }), 'search.n'],
  ])('of %s are none, and the service refuses it at its field', async (_what, change, param) => {
    const request = sweepRequestOf(draft, search(change()));
    expect(jobsOf(request.search)).toBeNull();
    expect(refusal(await service.post(`/v1${URL_PATH}`, request))).toMatchObject({ status: 400, param });
  });
});

/** Runs a program as it is shown, in a shell or in Node. */
async function run(program: string, command: string, args: readonly string[]): Promise<string> {
  const { PATH = '', HOME = cwd } = process.env;
  const env = { PATH: `${cwd}:${PATH}`, HOME, XDG_CONFIG_HOME: join(cwd, 'config'), GRAFT_URL: service.address, GRAFT_API_KEY: API_KEY };
  const child = spawn(command, args, { cwd: command === 'sh' ? cwd : ROOT, env });
  child.stdin.end(program);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  expect(child.exitCode, stderr).toBe(0);
  return stdout;
}

describe('the form of a sweep › as code', () => {
  const hard: Partial<Search>[] = [
    {
      name: "Ann's rates & ranks",
      metric: 'train_loss',
      mode: 'min',
      budget: '100',
      varied: [
        rates(),
        varied(OTHER, { path: 'tuning', values: '{"type": "lora", "r": 4, "target_modules": ["q_proj", "v_proj"]}\n{"type": "full"}' }),
        varied('hyperparameters.lr_scheduler_type', { values: 'linear, cosine' }),
        varied('model', { values: 'graft-tiny' }),
      ],
    },
    {
      name: 'wide',
      strategy: 'successive_halving',
      numbers: { n: '4', min_steps: '5', eta: '2' },
      varied: [rateRange()],
    },
  ];

  const isThere = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;
  const languages = [
    ['curl', (request: never) => asCurl(service.address, request, URL_PATH), 'sh', []],
    ['Node', (request: never) => sweepAsNode(service.address, request), process.execPath, ['--input-type=module']],
    ['graft', (request: never) => sweepAsGraft(service.address, request), 'sh', []],
  ] as const;
  it.each(languages.filter(([language]) => language !== 'curl' || isThere('curl')))(
    'for %s creates the same sweep',
    async (_language, write, command, args) => {
      for (const change of hard) {
        const { id } = await create(search(change));
        const request = sweepRequestOf(draft, search(change));
        const printed = await run(write(request as never), command, args);
        const same = /ftsweep-\w+/.exec(printed)![0];
        const shown = await Promise.all(
          [id, same].map(async (one) => {
            const { name, base, search, budget, seed, metric, mode } = (await service.inject({ url: `/v1${URL_PATH}/${one}` })).json();
            return { name, base, search, budget, seed, metric, mode };
          }),
        );
        expect(same).not.toBe(id);
        expect(shown[1]).toEqual(shown[0]);
        await Promise.all([id, same].map(remove));
      }
    },
  );
});
