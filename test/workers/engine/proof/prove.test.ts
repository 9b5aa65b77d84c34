import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProofFindings } from '../../../../src/formats/adapter-proof.ts';
import type { Tuning } from '../../../../src/formats/tuning/tuning.ts';
import type { TrainOptions } from '../../../../workers/engine/contract.ts';
import { readSafetensors, writeSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { prepare } from '../../../../workers/engine/prepare.ts';
import { prove } from '../../../../workers/engine/proof/prove.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { trainPrepared } from '../../../../workers/engine/train.ts';

const CASES = fileURLToPath(new URL('../../../fixtures/reference/cases', import.meta.url));
const f32Model = join(CASES, 'llama-gqa-tied/model');
const bf16Model = join(CASES, 'llama-untied-v4/model');

let dir: string;
let trainingFile: string;
let validationFile: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-proof-'));
  trainingFile = await write('training.jsonl', 0, 8);
  validationFile = await write('validation.jsonl', 100, 3);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function write(name: string, from: number, examples: number): Promise<string> {
  const lines = Array.from({ length: examples }, (_, index) => JSON.stringify({ prompt: `Tree ${from + index}? `, completion: 'It grows.' }));
  await writeFile(join(dir, name), `${lines.join('\n')}\n`);
  return join(dir, name);
}

type Files = Map<string, { shape: number[]; data: Float32Array }>;

/** Trains two steps, damages a copy of the delivered files and proves it. */
async function proveAfter(damage: (delivered: string) => Promise<void> | void, given: Partial<TrainOptions> = {}): Promise<ProofFindings> {
  const name = await mkdtemp(join(dir, 'run-'));
  const options: TrainOptions = {
    modelDir: f32Model,
    trainingFile,
    outputDir: join(name, 'out'),
    tuning: { type: 'lora', r: 4 },
    hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate: 0.01 },
    seed: 3,
    ...given,
  };
  const run = await prepare(options);
  const { last } = await trainPrepared(run, options);
  await cp(options.outputDir, join(name, 'delivered'), { recursive: true });
  await damage(join(name, 'delivered'));
  return prove(run, { modelDir: options.modelDir, deliveredDir: join(name, 'delivered'), last });
}

const adapterFile = 'adapter_model.safetensors';
const nothing = () => {};

/** Rewrites a weights file. */
const rewrite = (file: string, change: (tensors: Files) => void) => (delivered: string) => {
  const tensors = readSafetensors(join(delivered, file)) as unknown as Files;
  change(tensors);
  writeSafetensors(join(delivered, file), tensors);
};

const configured = (file: string, fields: object) => async (delivered: string) => {
  const config = JSON.parse(await readFile(join(delivered, file), 'utf8')) as object;
  await writeFile(join(delivered, file), JSON.stringify({ ...config, ...fields }));
};

const firstB = (tensors: Files) => [...tensors.keys()].find((key) => key.includes('lora_B'))!;

const IN_BF16 = [
  { tuning: { type: 'lora', r: 4 } },
  { tuning: { type: 'full' } },
  { tuning: { type: 'full', layers_to_transform: [1], freeze_embeddings: true } },
  { tuning: { type: 'prompt', num_virtual_tokens: 4 } },
] as const;
describe.each(IN_BF16)('prove › trained in bf16 with %j', ({ tuning }) => {
  it('measures the same loss as the live model', async () => {
    const hyperparameters = { n_epochs: 1, batch_size: 4, learning_rate: 0.01, precision: 'bf16' as const };
    const { problems, loss } = await proveAfter(nothing, { tuning: structuredClone(tuning) as Tuning, hyperparameters });
    expect(problems).toEqual([]);
    expect(loss!.difference).toBe(0);
  });
});

describe('prove › an adapter as it was trained', () => {
  it('measures the same loss as the live model on the validation file, and leaves no tensor behind', async () => {
    await proveAfter(nothing); // creates what is kept between runs
    const before = tf.memory().numTensors;
    const findings = await proveAfter(nothing, { validationFile });
    expect(tf.memory().numTensors).toBe(before);
    expect(findings).toMatchObject({
      problems: [],
      tensors: { finite: true },
      effect: { prompts: 3 },
      loss: { measured_on: 'validation_file', examples: 3, tolerance: 1e-3 },
    });
    expect(findings.effect!.largest_difference).toBeGreaterThan(1e-4);
    expect(findings.loss!.difference).toBeLessThan(1e-5);
  });

  it('measures on training examples without a validation file', async () => {
    const findings = await proveAfter(nothing, { tuning: { type: 'lora', r: 3, use_rslora: true, lora_dropout: 0.2, target_modules: ['v_proj'] } });
    expect(findings).toMatchObject({ problems: [], loss: { measured_on: 'training_sample', examples: 8 } });
    expect(findings.loss!.difference).toBeLessThan(1e-5);
  });
});

describe('prove › with a sharded base model stored in bf16', () => {
  it('finds every layer and the same loss', async () => {
    const findings = await proveAfter(nothing, { modelDir: bf16Model });
    expect(findings.problems).toEqual([]);
    expect(findings.loss!.difference).toBeLessThan(1e-5);
  });
});

describe('prove › after a run that changed its base model in memory', () => {
  it('reports the change, although adapter and loss agree', async () => {
    const options = { modelDir: f32Model, trainingFile, outputDir: join(dir, 'drifted'), tuning: { type: 'lora' as const, r: 4 }, seed: 3 };
    const run = await prepare({ ...options, hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate: 0.01 } });
    const { logits, prompts } = run.base;
    // As if the base had predicted something else before training.
    const other = { ...run, base: { prompts, logits: logits.map((each) => each.map((logit) => logit + 0.01)) } };
    const { last } = await trainPrepared(run, { ...options, hyperparameters: {} });
    const { problems } = await prove(other, { modelDir: f32Model, deliveredDir: options.outputDir, last });
    expect(problems).toEqual([expect.stringMatching(/without its adapter the model's predictions differ from the base model's by 0\.0\d+/)]);
  });
});

const damages: { name: string; damage: (delivered: string) => Promise<void> | void; problem: RegExp }[] = [
  {
    name: 'a NaN',
    damage: rewrite(adapterFile, (tensors) => {
      tensors.get(firstB(tensors))!.data[5] = Number.NaN;
    }),
    problem: /adapter_model\.safetensors: tensor base_model.*lora_B\.weight holds NaN at index 5/,
  },
  {
    name: 'a tensor missing',
    damage: rewrite(adapterFile, (tensors) => void tensors.delete(firstB(tensors))),
    problem: /has lora_A without its counterpart/,
  },
  {
    name: 'a name that PEFT does not know',
    damage: rewrite(adapterFile, (tensors) => {
      const name = firstB(tensors);
      tensors.set(name.replace('base_model.model.', ''), tensors.get(name)!);
      tensors.delete(name);
    }),
    problem: /lora_B\.weight is not a name that PEFT knows/,
  },
  {
    name: 'another rank in its configuration',
    damage: configured('adapter_config.json', { r: 8 }),
    problem: /adapter_config.json says r 8; the adapter was trained with 4/,
  },
  {
    name: 'another alpha in its configuration',
    damage: configured('adapter_config.json', { lora_alpha: 99 }),
    problem: /says lora_alpha 99; the adapter was trained with 8/,
  },
  {
    name: 'too few target modules in its configuration',
    damage: configured('adapter_config.json', { target_modules: ['q_proj'] }),
    problem: /has an adapter but is not a target module/,
  },
  {
    name: 'values of another run',
    damage: rewrite(adapterFile, (tensors) => {
      for (const { data } of tensors.values()) for (let i = 0; i < data.length; i++) data[i]! *= 3;
    }),
    problem: /the loss with the delivered files is [\d.]+, the live model's [\d.]+: they may differ by at most 0.001/,
  },
  {
    name: 'every B zero',
    damage: rewrite(adapterFile, (tensors) => {
      for (const [name, { data }] of tensors) if (name.includes('lora_B')) data.fill(0);
    }),
    problem: /predicts exactly what its base does, on 4 prompts/,
  },
];

describe('prove › an adapter that came back with', () => {
  it.each(damages)('$name › reports the problem', async ({ damage, problem }) => {
    const { problems } = await proveAfter(damage);
    expect(problems.join('\n')).toMatch(problem);
    expect(problems.join('\n')).not.toContain(dir);
  });

  it('a truncated file › reports the problem', async () => {
    const { problems } = await proveAfter(async (delivered) => {
      const bytes = await readFile(join(delivered, adapterFile));
      await writeFile(join(delivered, adapterFile), bytes.subarray(0, bytes.length - 100));
    });
    expect(problems.join()).toMatch(/adapter_model\.safetensors.*cut off/);
  });
});

describe('prove › a fully tuned model', () => {
  const full = { tuning: { type: 'full' as const }, hyperparameters: { n_epochs: 1, batch_size: 4, learning_rate: 1e-3 } };

  it('has the loss of the live model, which is rounded to bf16 first if the files are', async () => {
    for (const modelDir of [f32Model, bf16Model]) {
      const findings = await proveAfter(nothing, { ...full, modelDir, validationFile });
      expect(findings).toMatchObject({ problems: [], tensors: { finite: true }, effect: { prompts: 3 }, loss: { measured_on: 'validation_file' } });
      expect(findings.loss!.difference).toBeLessThan(1e-5);
    }
  });

  it('that came back with a misshapen tensor or another configuration › reports the problem', async () => {
    const reshaped = rewrite('model.safetensors', (tensors) => {
      const norm = tensors.get('model.norm.weight')!;
      tensors.set('model.norm.weight', { shape: [norm.data.length / 2], data: norm.data.slice(0, norm.data.length / 2) });
    });
    expect((await proveAfter(reshaped, full)).problems.join()).toMatch(/tensor model\.norm\.weight is \[\d+\] where the base model has \[\d+\]/);
    const { problems } = await proveAfter(configured('config.json', { rms_norm_eps: 0.5 }), full);
    expect(problems).toEqual(["config.json has a different rms_norm_eps than the base model's"]);
  });

  it('that came back as its base › reports that training changed nothing', async () => {
    const { problems } = await proveAfter((delivered) => cp(join(f32Model, 'model.safetensors'), join(delivered, 'model.safetensors')), full);
    expect(problems.join()).toMatch(/predicts exactly what its base does/);
  });
});
