import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pythonTool } from '../../../../reference/python/tool.ts';

describe('the kernels’ C++', () => {
  it('is formatted as .clang-format says, in sub-folders too', async () => {
    const folder = join(import.meta.dirname, '../../../../workers/engine/kernels');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(cc|h)$/.test(name));
    expect(files).toEqual(expect.arrayContaining(['attention.cc', join('per-instruction-set', 'tile-operations.cc')]));
    const program = ['-c', 'from clang_format import clang_format; clang_format()'];
    const { status, stderr } = spawnSync(await pythonTool('clang-format'), [...program, '--dry-run', '-Werror', ...files], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  }, 120_000);
});
