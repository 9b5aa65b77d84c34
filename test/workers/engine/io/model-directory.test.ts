import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { saveCompanions } from '../../../../workers/engine/io/model-directory.ts';

/** @returns the text of a base's config.json, and of the one that is delivered with weights in bf16 */
function delivered(fixture: string, ofBase: (text: string) => string = (text) => text): { base: string; delivered: string } {
  const dir = mkdtempSync(join(tmpdir(), 'graft-directory-'));
  try {
    const [base, delivered] = [join(dir, 'base'), join(dir, 'delivered')];
    cpSync(referencePath('families', fixture, 'model'), base, { recursive: true });
    const file = join(base, 'config.json');
    writeFileSync(file, ofBase(readFileSync(file, 'utf8')));
    cpSync(base, delivered, { recursive: true });
    saveCompanions({ tiedHead: true }, delivered, { sourceDir: base, dtype: 'BF16' });
    return { base: readFileSync(file, 'utf8'), delivered: readFileSync(join(delivered, 'config.json'), 'utf8') };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe('a delivered config.json', () => {
  it('is the text of the base’s but for the type of its weights, so that 0.0 stays a float', () => {
    const { base, delivered: text } = delivered('gemma4-vision');
    expect(base).toContain('"attention_dropout": 0.0');
    expect(text).toBe(base.replace(/^ {2}"dtype": "float32"/m, '  "dtype": "bfloat16"'));
  });

  it('of a base whose weights are packed says no more that they are', () => {
    const { delivered: text } = delivered('qwen3', (text) => text.replace('{', '{ "quantization_config": { "quant_method": "mxfp4" },'));
    expect(JSON.parse(text)).not.toHaveProperty('quantization_config');
  });
});
