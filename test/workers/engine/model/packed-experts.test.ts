import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { logitsDifference, lossDifference, TOLERANCES, withModel } from '../../../../reference/measures.ts';
import { openEagerForInference } from '../../../../workers/engine/eager/eager-model.ts';
import { storedDtypeOf } from '../../../../workers/engine/io/model-directory.ts';

const where = ['mxfp4', 'gpt-oss'];
const modelDir = referencePath(...where, 'model');

async function withConfig(change: (config: Record<string, unknown>) => object, use: (dir: string) => void): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'graft-packed-'));
  try {
    await cp(modelDir, dir, { recursive: true });
    const config = JSON.parse(await readFile(join(modelDir, 'config.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(dir, 'config.json'), JSON.stringify(change(config)));
    use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

describe('gpt-oss with its experts in MXFP4, as it is published', () => {
  it('has the logits and the loss that transformers has with them unpacked', () => {
    const batch = referenceBatch('gpt-oss', 'mxfp4');
    withModel(
      () => openEagerForInference({ modelDir }),
      (model) => {
        expect(logitsDifference(model, batch, ['mxfp4', 'gpt-oss'], ['mxfp4', 'gpt-oss'])).toBeLessThanOrEqual(TOLERANCES.logits);
        expect(lossDifference(model, batch, where)).toBeLessThanOrEqual(TOLERANCES.loss);
      },
    );
  });

  it('has weights in bf16, though its config.json names no type', () => {
    expect(storedDtypeOf(modelDir)).toBe('BF16');
  });

  it('is refused by the name of its tensors if config.json does not say that they are packed', () =>
    withConfig(
      ({ quantization_config: _, ...config }) => config,
      (dir) => expect(() => openEagerForInference({ modelDir: dir })).toThrow(/model\.layers\.0\.mlp\.experts\.down_proj_blocks does not belong/),
    ));

  it('is refused by the name of the method if it is another', () =>
    withConfig(
      (config) => ({ ...config, quantization_config: { quant_method: 'fp8' } }),
      (dir) => expect(() => openEagerForInference({ modelDir: dir })).toThrow('quantization_config.quant_method is "fp8", not "mxfp4"'),
    ));
});
