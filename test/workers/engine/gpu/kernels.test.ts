/**
 * The kernels for GPUs (workers/engine/kernels/gpu), where there may be none: an emulated CUDA compiles them with the C++ compiler and runs their threads
 * one after the other. It shows what they compute, not how fast, and finds no races.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOLERANCES } from '../../../../reference/measures.ts';

interface Found {
  differences: Record<string, { loss?: number; gradients: number }>;
  bf16: number;
  unused: string[];
}

let dir: string;
let found: Found;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-emulated-cuda-'));
  const library = join(dir, 'emulated-cuda.so');
  const source = join(import.meta.dirname, 'emulated-cuda.cc');
  run(process.env['CXX'] ?? 'c++', ['-std=c++17', '-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', source, '-o', library, '-ldl']);
  for (const name of ['libcuda.so.1', 'libnvrtc.so.12', 'libcublas.so.12']) symlinkSync(library, join(dir, name));
  // 1,500 scores at once are a few queries, so that there are several blocks.
  const env = { LD_LIBRARY_PATH: dir, EMULATED_CUDA_DIR: dir, TF_GRAFT_MOST_SCORES: '1500' };
  const output = run(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'on-emulated-gpu.ts')], env);
  found = JSON.parse(output.trim().split('\n').at(-1)!) as Found;
}, 300_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(command: string, args: string[], env: Record<string, string> = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  expect(status, stderr).toBe(0);
  return stdout;
}

describe('the kernels for GPUs', () => {
  it('compute the losses and gradients of transformers, PEFT and bitsandbytes', () => {
    for (const [name, { loss = 0, gradients }] of Object.entries(found.differences)) {
      expect(loss, name).toBeLessThanOrEqual(TOLERANCES.loss);
      expect(gradients, name).toBeLessThanOrEqual(TOLERANCES.gradients);
    }
    expect(Object.keys(found.differences)).toHaveLength(9);
  });

  it('compute in bf16 what they compute in f32, but for its rounding', () => {
    expect(found.bf16).toBeGreaterThan(0);
    expect(found.bf16).toBeLessThan(0.005);
  });

  it('are all used', () => {
    expect(found.unused).toEqual([]);
  });
});
