import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { saveCompanions } from '../../../../workers/engine/io/model-directory.ts';

it('a delivered config.json › is the text of the base’s but for the type of its weights, so that 0.0 stays a float', () => {
  const dir = mkdtempSync(join(tmpdir(), 'graft-directory-'));
  try {
    const [base, delivered] = [join(dir, 'base'), join(dir, 'delivered')];
    cpSync(referencePath('families', 'gemma4-vision', 'model'), base, { recursive: true });
    cpSync(base, delivered, { recursive: true });
    const file = join(base, 'config.json');
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('"attention_dropout": 0.0');
    saveCompanions({ tiedHead: true }, delivered, { sourceDir: base, dtype: 'BF16' });
    expect(readFileSync(join(delivered, 'config.json'), 'utf8')).toBe(text.replace(/^ {2}"dtype": "float32"/m, '  "dtype": "bfloat16"'));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
