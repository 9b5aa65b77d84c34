import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ExpectedLoss,
  largestDifference,
  readReference,
  referenceBatch,
  referencePath,
  referenceTensors,
} from '../../../../reference/fixtures.ts';
import { openEagerForInference } from '../../../../workers/engine/eager/eager-model.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'graft-rotary-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function asVersion4(name: string, configFile: string): Promise<string> {
  const dir = join(scratch, configFile);
  await cp(referencePath('variants', name, 'model'), dir, { recursive: true });
  await cp(referencePath('variants', name, configFile), join(dir, 'config.json'));
  return dir;
}

describe.each([
  { name: 'llama3-rope-f16', configFile: 'llama3-rope-v4.config.json', what: "Llama 3.1's rotary scaling, MLP biases and f16 weights" },
  { name: 'linear-rope', configFile: 'linear-rope-v4.config.json', what: 'linear rotary scaling' },
])('a model with $what, past its original context', ({ name, configFile }) => {
  const expectReference = (modelDir: string): void => {
    const model = openEagerForInference({ modelDir });
    try {
      const batch = referenceBatch(name, 'variants');
      const expected = readReference<ExpectedLoss>('variants', name, 'expected.json');
      const logits = referenceTensors('variants', name, 'logits.safetensors').get('logits')!;
      expect(largestDifference(model.allLogits(batch.inputIds), logits)).toBeLessThanOrEqual(1e-4);
      const { loss, weight, correct } = model.evaluate(batch);
      expect(Math.abs(loss / weight - expected.loss)).toBeLessThanOrEqual(1e-5);
      expect(correct).toBe(expected.correctTokens);
      expect(model.totalParameters).toBe(expected.parameters);
    } finally {
      model.dispose();
    }
  };

  it('gives the logits and the loss of transformers', () => expectReference(referencePath('variants', name, 'model')));
  it('gives the same with a config.json written by transformers 4', async () => expectReference(await asVersion4(name, configFile)));
});
