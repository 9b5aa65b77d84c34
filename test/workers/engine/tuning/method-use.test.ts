import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { methodCases } from '../../../../reference/method-fixtures.ts';
import { openForInference } from '../../../../workers/engine/compiled/open-model.ts';
import { layOut, microBatches } from '../../../../workers/engine/data/batches.ts';
import { inMemory } from '../../../../workers/engine/data/example-store.ts';
import { packingOf } from '../../../../workers/engine/data/packing.ts';
import { withVirtualTokens } from '../../../../workers/engine/data/virtual-tokens.ts';
import { exportModel } from '../../../../workers/engine/export/export.ts';
import { exportHuggingFace } from '../../../../workers/engine/export/hugging-face.ts';
import { GREEDY } from '../../../../workers/engine/generation/contract.ts';
import { openGenerationModel } from '../../../../workers/engine/generation/generation-model.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-method-use-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const adapters = methodCases.filter(({ adapterDir }) => adapterDir !== null);
const filesOf = ({ where, adapterDir }: (typeof adapters)[number]) => ({ modelDir: referencePath(...where, 'model'), adapterDir: adapterDir! });
const caseOf = (method: string, model = 'llama-gqa-tied') => adapters.find((one) => one.method === method && one.model === model)!;
const isVirtual = ({ method }: { method: string }): boolean => method === 'prompt' || method === 'prefix';

function logits(files: { modelDir: string; adapterDir?: string }, ids: Int32Array): Float32Array {
  const model = openForInference(files);
  const found = model.allLogits(ids);
  model.dispose();
  return found;
}

describe.each(adapters.filter((one) => !isVirtual(one)))('$method on $model, merged into its base', (one) => {
  it('predicts what the base with the adapter does', async () => {
    const merged = join(dir, `${one.method}-${one.model}`);
    const files = filesOf(one);
    const { inputIds, length } = referenceBatch(one.model, one.where[0]);
    const ids = inputIds.slice(0, length);
    await exportHuggingFace(files, merged, { dtype: 'F32', progress: async () => {} });
    const tuned = logits(files, ids);
    expect(largestDifference(logits({ modelDir: merged }, ids), tuned)).toBeLessThan(1e-4);
    expect(largestDifference(logits({ modelDir: files.modelDir }, ids), tuned)).toBeGreaterThan(0.1);
  });
});

describe('an export', () => {
  const exported = (method: string, format: 'hugging_face' | 'gguf_adapter') =>
    exportModel({ ...filesOf(caseOf(method)), format, dtype: 'f32', name: 'tuned', outputDir: join(dir, 'refused') }, async () => {});

  it('of virtual tokens, or of an adapter alone that is not LoRA, is refused with what to do', async () => {
    for (const method of ['prompt', 'prefix'])
      await expect(exported(method, 'hugging_face')).rejects.toMatchObject({ code: 'unsupported_export', hint: expect.stringContaining('PEFT') });
    await expect(exported('vera', 'gguf_adapter')).rejects.toMatchObject({ code: 'unsupported_export', hint: expect.stringContaining('"gguf"') });
  });
});

describe.each(adapters.filter(isVirtual))('$method on $model', (one) => {
  it('gives packed examples the loss that each has alone, with virtual tokens of its own', () => {
    const model = openForInference(filesOf(one));
    const batch = referenceBatch(one.model, one.where[0]);
    const examples = [7, 11, 9].map((length, index) => ({
      inputIds: batch.inputIds.slice(index, index + length),
      lossWeights: new Float32Array(length).fill(1),
    }));
    const packing = packingOf(model);
    const packed = layOut([examples.map((example) => withVirtualTokens(example, packing.virtual!))]);
    const alone = examples.map((example) => model.evaluate([...microBatches(inMemory([example]), packing)][0]!).loss);
    const together = model.evaluate(packed);
    model.dispose();
    expect(together.weight).toBe(27); // the first token too: the last virtual one predicts it
    expect(together.loss / alone.reduce((sum, loss) => sum + loss, 0)).toBeCloseTo(1, 5);
  });
});

describe('chat', () => {
  it('with adapters that rows cannot share gives the tokens that their models give, beside others', async () => {
    const methods = ['prompt', 'prefix', 'vera'];
    const { modelDir } = filesOf(caseOf('prompt'));
    const model = await openGenerationModel({ modelDir, slots: 4 });
    const prompt = referenceBatch('llama-gqa-tied').inputIds.slice(0, 6);
    const before = model.memoryBytes();
    for (const method of methods) await model.addAdapter(method, filesOf(caseOf(method)).adapterDir);
    expect(model.memoryBytes()).toBeGreaterThan(before);
    const answers = await Promise.all([...methods, null].map((adapter) => model.generate({ ...GREEDY, prompt, adapter, maxTokens: 4 })));
    model.dispose();
    for (const [index, method] of [...methods, null].entries()) {
      const alone = openForInference(method === null ? { modelDir } : filesOf(caseOf(method)));
      const ids = [...prompt];
      for (const _ of answers[index]!.tokenIds) ids.push(alone.nextTokens([Int32Array.from(ids)])[0]!);
      alone.dispose();
      expect(answers[index]!.tokenIds).toEqual(ids.slice(prompt.length));
    }
    expect(new Set(answers.map(({ tokenIds }) => tokenIds.join())).size).toBe(4);
  });
});
