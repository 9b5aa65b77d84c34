import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import type { Tuning } from '../../../../src/formats/tuning/tuning.ts';
import type { StepReport, TrainOptions } from '../../../../workers/engine/contract.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { readSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { prepare } from '../../../../workers/engine/prepare.ts';
import { prove } from '../../../../workers/engine/proof/prove.ts';
import { train, trainPrepared } from '../../../../workers/engine/train.ts';
import { methodOf } from '../../../../workers/engine/tuning/methods.ts';
import { stoppingAfter } from '../stopping-after.ts';

const tied = referencePath('cases', 'llama-gqa-tied', 'model');
const biased = referencePath('cases', 'llama-untied-v4', 'model');
const RUNS: { tuning: Tuning; modelDir: string; learningRate: number }[] = [
  { tuning: { type: 'ia3' }, modelDir: tied, learningRate: 0.05 },
  { tuning: { type: 'vera', r: 8, vera_dropout: 0.1 }, modelDir: tied, learningRate: 0.05 },
  { tuning: { type: 'prompt', num_virtual_tokens: 3 }, modelDir: tied, learningRate: 0.1 },
  { tuning: { type: 'prefix', num_virtual_tokens: 3 }, modelDir: tied, learningRate: 0.1 },
  { tuning: { type: 'bitfit' }, modelDir: biased, learningRate: 0.02 },
  { tuning: { type: 'full', layers_to_transform: [1], freeze_embeddings: true }, modelDir: tied, learningRate: 0.005 },
];

let dir: string;
let trainingFile: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-methods-'));
  trainingFile = join(dir, 'training.jsonl');
  const lines = Array.from({ length: 8 }, (_, index) => JSON.stringify({ prompt: `Tree ${index}? `, completion: 'It grows.' }));
  await writeFile(trainingFile, `${lines.join('\n')}\n`);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Two epochs of two steps each. */
function options(name: string, { tuning, modelDir, learningRate }: (typeof RUNS)[number]): TrainOptions {
  const folder = join(dir, `${tuning.type}-${name}`);
  const hyperparameters = { n_epochs: 2, batch_size: 4, learning_rate: learningRate, precision: 'f32' as const };
  return { modelDir, trainingFile, outputDir: join(folder, 'out'), checkpointsDir: join(folder, 'checkpoints'), tuning, hyperparameters, seed: 3 };
}

describe.each(RUNS)('a run with $tuning', (one) => {
  const { tuning, modelDir } = one;

  it('learns, and delivers what is proven to be the trained model', async () => {
    const steps: StepReport[] = [];
    const given = { ...options('whole', one), report: { step: (done: StepReport) => void steps.push(done) } };
    const run = await prepare(given);
    const { last } = await trainPrepared(run, given);
    const deliveredDir = join(given.outputDir, '../delivered');
    await cp(given.outputDir, deliveredDir, { recursive: true });
    const { problems, effect, loss } = await prove(run, { modelDir, deliveredDir, last });
    expect(problems).toEqual([]);
    expect(effect!.largest_difference).toBeGreaterThan(1e-4);
    expect(loss!.difference).toBeLessThan(1e-5);
    expect(steps.at(-1)!.metrics['train_loss']!).toBeLessThan(steps[0]!.metrics['train_loss']!);
  });

  it('stopped and resumed › delivers the same bytes', async () => {
    const given = options('resumed', one);
    await expect(train({ ...given, ...stoppingAfter(2) })).rejects.toThrow('cancelled');
    await train({ ...given, resumeFrom: join(given.checkpointsDir!, '2') });
    const [file] = methodOf(tuning as never)
      .tensorFiles(given.outputDir)
      .map((path) => path.slice(given.outputDir.length + 1));
    expect(await readFile(join(given.outputDir, file!))).toEqual(await readFile(join(options('whole', one).outputDir, file!)));
  });
});

describe("a run that continues PEFT's VeRA, whose matrices are not Graft's", () => {
  it('stopped and resumed › delivers the same bytes, with those matrices', async () => {
    const startFrom = referencePath('methods', 'vera', 'llama-gqa-tied', 'adapter');
    const given = (name: string): TrainOptions => ({
      ...options(name, { tuning: { type: 'vera', r: 6 }, modelDir: tied, learningRate: 0.02 }),
      startFrom,
    });
    await train(given('continued'));
    const stopped = given('continued-stopped');
    await expect(train({ ...stopped, ...stoppingAfter(2) })).rejects.toThrow('cancelled');
    await train({ ...stopped, resumeFrom: join(stopped.checkpointsDir!, '2') });
    const [whole, resumed] = [given('continued'), stopped].map(({ outputDir }) => readSafetensors(join(outputDir, 'adapter_model.safetensors')));
    expect(resumed).toEqual(whole);
    const theirs = readSafetensors(join(startFrom, 'adapter_model.safetensors'));
    expect(whole!.get('base_model.vera_A')).toEqual(theirs.get('base_model.vera_A'));
    expect(whole!.get('base_model.model.model.layers.0.self_attn.q_proj.vera_lambda_b')).not.toEqual(
      theirs.get('base_model.model.model.layers.0.self_attn.q_proj.vera_lambda_b'),
    );
  });
});

describe('a tuning that does not fit the model', () => {
  it.each([
    ['biases of a model that has none', { type: 'bitfit' }, 'no_biases', 'tuning.type'],
    ['blocks that do not exist', { type: 'full', layers_to_transform: [1, 2] }, 'unknown_layer', 'tuning.layers_to_transform'],
    ['more virtual tokens than the context has', { type: 'prefix', num_virtual_tokens: 500 }, 'too_many_virtual_tokens', 'tuning.num_virtual_tokens'],
    ['layers that do not exist', { type: 'ia3', target_modules: ['query'] }, 'unknown_target_module', 'tuning.target_modules'],
    [
      'a feed-forward layer that is no target',
      { type: 'ia3', target_modules: ['v_proj'], feedforward_modules: ['up_proj'] },
      'unknown_target_module',
      'tuning.feedforward_modules',
    ],
  ] as const)('%s › is refused by name', async (_, tuning, code, param) => {
    const given = options('refused', { tuning: structuredClone(tuning) as Tuning, modelDir: tied, learningRate: 0.1 });
    await expect(prepare(given)).rejects.toMatchObject({ code, param });
  });
});

describe('prompt tuning that begins with a text', () => {
  it('has the embeddings of its tokens, repeated to the number of virtual tokens', async () => {
    const text = 'old tree';
    const tuning = { type: 'prompt', num_virtual_tokens: 9, prompt_tuning_init: 'TEXT', prompt_tuning_init_text: text } as const;
    const run = await prepare(options('text', { tuning, modelDir: tied, learningRate: 0.1 }));
    const { data } = run.model.read().get('prompt_embeddings')!;
    const { hiddenSize } = run.model.config;
    run.dispose();
    const { ids } = await (await Tokenizer.open(tied)).encode(text, { addSpecialTokens: true });
    const table = readSafetensors(join(tied, 'model.safetensors')).get('model.embed_tokens.weight')!.data;
    expect(ids.length).toBeGreaterThan(1);
    for (let index = 0; index < 9; index++) {
      const id = ids[index % ids.length]!;
      expect(data.subarray(index * hiddenSize, (index + 1) * hiddenSize)).toEqual(table.subarray(id * hiddenSize, (id + 1) * hiddenSize));
    }
  });
});

describe('a model of which some blocks were trained', () => {
  it('has the weights of its base in the others, bit for bit', () => {
    const [base, tuned] = [tied, join(dir, 'full-whole', 'out')].map((from) => readSafetensors(join(from, 'model.safetensors')));
    const changed = [...base!].filter(
      ([name, { data }]) => Buffer.compare(Buffer.from(data.buffer), Buffer.from(tuned!.get(name)!.data.buffer)) !== 0,
    );
    expect(tuned!.size).toBe(base!.size);
    expect(changed.length).toBeGreaterThan(0);
    for (const [name] of changed) expect(name).not.toMatch(/layers\.0\.|embed_tokens/);
  });
});
