import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import { QUANTIZATIONS, type Quantization } from '../../../src/formats/quantization.ts';
import type { Prepared, TrainOptions } from '../../../workers/engine/contract.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { prove } from '../../../workers/engine/proof/prove.ts';
import { train, trainPrepared } from '../../../workers/engine/train.ts';
import { stoppingAfter } from './stopping-after.ts';

const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');
const adapterFile = 'adapter_model.safetensors';

let dir: string;
let trainingFile: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-quantized-'));
  trainingFile = join(dir, 'training.jsonl');
  const lines = ['a graft', 'an old tree', 'a shoot', 'the roots', 'one branch', 'the bark'].map((what) => ({
    messages: [
      { role: 'user', content: `Where is ${what}?` },
      { role: 'assistant', content: `Nobody knows ${what}.` },
    ],
  }));
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Two epochs of three steps. */
const options = (name: string, quantization: Quantization | null, given: Partial<TrainOptions> = {}): TrainOptions => ({
  modelDir,
  trainingFile,
  outputDir: join(dir, name, 'out'),
  checkpointsDir: join(dir, name, 'checkpoints'),
  tuning: { type: 'lora', r: 4 },
  hyperparameters: { n_epochs: 2, batch_size: 2, learning_rate: 0.01, precision: 'f32', quantization },
  seed: 7,
  ...given,
});

const adapterOf = (name: string): Promise<Buffer> => readFile(join(dir, name, 'out', adapterFile));

describe.each(QUANTIZATIONS)('a run whose base is held in %s', (quantization) => {
  it('stopped within an epoch › resumes from its checkpoint to the same adapter, bit for bit, which differs from one of the whole base', async () => {
    const facts: Prepared[] = [];
    await train(options(`straight-${quantization}`, quantization, { report: { prepared: (prepared) => void facts.push(prepared) } }));
    expect(facts[0]!.hyperparameters.quantization).toBe(quantization);
    const stopped = `stopped-${quantization}`;
    await expect(train(options(stopped, quantization, stoppingAfter(2)))).rejects.toThrow('cancelled');
    const resumeFrom = join(dir, stopped, 'checkpoints', '2');
    await expect(train(options(stopped, null, { resumeFrom }))).rejects.toThrow('hyperparameters');
    await train(options(stopped, quantization, { resumeFrom }));
    expect(await adapterOf(stopped)).toEqual(await adapterOf(`straight-${quantization}`));
    await train(options('whole', null));
    expect(await adapterOf('whole')).not.toEqual(await adapterOf(stopped));
  });

  it('delivers an adapter that is proven on the same base, and says how to load it', async () => {
    const given = options(`proven-${quantization}`, quantization);
    const run = await prepare(given);
    const { last } = await trainPrepared(run, given);
    const findings = await prove(run, { modelDir, deliveredDir: given.outputDir, last });
    expect(findings.problems).toEqual([]);
    expect(await readFile(join(given.outputDir, 'README.md'), 'utf8')).toContain('BitsAndBytesConfig');
  });
});
