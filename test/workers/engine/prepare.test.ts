import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PREPARATION_PARTS, type Prepared } from '../../../workers/engine/contract.ts';
import { productsIn } from '../../../workers/engine/machine/precision.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { sameAnswer } from '../../journey/dataset.ts';

const modelDir = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-prepare-'));
  await writeFile(join(dir, 'training.jsonl'), sameAnswer(8));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function prepared(precision: 'f32' | 'auto'): Promise<Prepared> {
  const files = { trainingFile: join(dir, 'training.jsonl'), outputDir: join(dir, 'out'), machineFile: join(dir, 'machine.json') };
  const run = await prepare({ modelDir, ...files, tuning: { type: 'lora' }, hyperparameters: { precision }, seed: 0 });
  run.dispose();
  return run.facts;
}

describe('the seconds that a preparation reports', () => {
  it('are those of each part, none of them for a precision that was given', async () => {
    const { precision, ...others } = (await prepared('f32')).seconds;
    expect(['precision', ...Object.keys(others)].sort()).toEqual([...PREPARATION_PARTS].sort());
    expect(precision).toBe(0);
    for (const [part, seconds] of Object.entries(others)) expect(seconds, part).toBeGreaterThan(0);
  });

  it('include the choice of a precision where it is auto, for which this machine is measured', async () => {
    expect((await prepared('auto')).seconds.precision).toBeGreaterThan(0);
    // A processor whose products of bf16 are computed in f32 is not measured.
    expect(existsSync(join(dir, 'machine.json'))).toBe(productsIn('bf16') === 'bf16');
  });
});
