import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Prepared } from '../../../workers/engine/contract.ts';
import { prepare } from '../../../workers/engine/prepare.ts';
import { sameAnswer } from '../../journey/dataset.ts';

const modelDir = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-prepare-'));
  await writeFile(join(dir, 'training.jsonl'), sameAnswer(8));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function prepared(precision: 'f32' | 'auto'): Promise<{ facts: Prepared; elapsedSeconds: number }> {
  const startedMs = performance.now();
  const files = { trainingFile: join(dir, 'training.jsonl'), outputDir: join(dir, 'out'), machineFile: join(dir, 'machine.json') };
  const run = await prepare({ modelDir, ...files, tuning: { type: 'lora' }, hyperparameters: { precision }, seed: 0 });
  run.dispose();
  return { facts: run.facts, elapsedSeconds: (performance.now() - startedMs) / 1000 };
}

describe('prepare › the reported seconds', () => {
  it('add up to the elapsed time, with none for a precision that is given', async () => {
    const { facts, elapsedSeconds } = await prepared('f32');
    const { precision, ...others } = facts.seconds;
    expect(precision).toBe(0);
    for (const [part, seconds] of Object.entries(others)) expect(seconds, part).toBeGreaterThan(0);
    const sum = Object.values(facts.seconds).reduce((sum, seconds) => sum + seconds, 0);
    expect(sum).toBeLessThanOrEqual(elapsedSeconds);
    expect(sum).toBeGreaterThan(0.8 * elapsedSeconds);
  });

  it('include the choice of the precision when it is "auto"', async () => {
    const { facts } = await prepared('auto');
    expect(facts.seconds.precision).toBeGreaterThan(0);
  });
});
