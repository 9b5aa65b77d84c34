import { readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareData } from '../../../workers/engine/prepare-data.ts';
import { sameAnswer } from '../../journey/dataset.ts';

const modelDir = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const resolved = { vocabSize: 384, maxLengthTokens: 128, truncation: 'error' as const };
const firstDay = new Date('2026-02-03T04:05:06.789Z');

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'graft-prepare-data-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe.runIf(process.platform === 'linux')('the files of a run', () => {
  const opened = () => readdirSync('/proc/self/fd').length;

  it('are closed with it, and after an error', async () => {
    writeFileSync(join(root, 'training.jsonl'), sameAnswer(12));
    const trainingFile = join(root, 'training.jsonl');
    const options = { modelDir, trainingFile, outputDir: root, tuning: { type: 'lora' as const }, hyperparameters: {}, seed: 0 };
    const before = opened();
    (await prepareData({ ...options, validationFile: trainingFile }, resolved, firstDay)).close();
    await expect(prepareData({ ...options, validationFile: join(root, 'none') }, resolved, firstDay)).rejects.toThrow(/none does not exist/);
    await expect(prepareData(options, { ...resolved, maxLengthTokens: 1 }, firstDay)).rejects.toThrow(/the limit is 1/);
    expect(opened()).toBe(before);
  });
});
