import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  fasterOf,
  fastestPrecision,
  type Machine,
  multipliesBf16,
  precisionWarnings,
  ratesOf,
  thisMachine,
} from '../../../../workers/engine/machine/precision.ts';
import { backend } from '../../../../workers/engine/tensorflow/backend.ts';
import { instructionSet } from '../../../../workers/engine/tensorflow/native.ts';

const machine: Machine = { cpu: 'EPYC', cores: 2, instructions: ['avx2', 'avx512_bf16'], gpu: false, tensorflow: '2.21.0' };
const rates = { f32: 200, bf16: 380 };

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-machine-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A measurement that counts its calls. */
const measuring = (result = rates) => vi.fn(() => result);

describe('a machine’s rates', () => {
  it('without a file › are measured and saved in a new folder, with nothing beside the file', async () => {
    const file = join(dir, 'new/data/machine.json');
    const measure = measuring();
    expect(ratesOf(machine, { file, measure })).toEqual(rates);
    expect(measure).toHaveBeenCalledOnce();
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ machine, gflops: rates });
    expect(await readdir(join(dir, 'new/data'))).toEqual(['machine.json']);
  });

  it('saved by an earlier process › are read and not measured again', () => {
    const file = join(dir, 'kept.json');
    ratesOf(machine, { file, measure: measuring() });
    const again = measuring({ f32: 1, bf16: 1 });
    expect(ratesOf(machine, { file, measure: again })).toEqual(rates);
    expect(again).not.toHaveBeenCalled();
  });

  it.each([
    ['processor', { cpu: 'Xeon' }],
    ['number of cores', { cores: 4 }],
    ['set of instructions under the same name', { instructions: ['avx2'] }],
    ['GPU', { gpu: true }],
    ['version of TensorFlow', { tensorflow: '2.22.0' }],
  ])('saved on a machine with another %s › are measured again and replaced', async (_, other) => {
    const file = join(dir, 'stale.json');
    ratesOf({ ...machine, ...other }, { file, measure: measuring({ f32: 50, bf16: 10 }) });
    const measure = measuring();
    expect(ratesOf(machine, { file, measure })).toEqual(rates);
    expect(measure).toHaveBeenCalledOnce();
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ machine, gflops: rates });
  });

  it.each([
    ['is cut off', '{"machine": {"cpu": "EP'],
    ['is empty', ''],
    ['holds something else', 'null'],
    ['has no rates', JSON.stringify({ machine })],
    ['has rates that are not numbers', JSON.stringify({ machine, gflops: { f32: 'fast', bf16: null } })],
  ])('in a file that %s › are measured again and replace it', async (_, content) => {
    const file = join(dir, 'broken.json');
    await writeFile(file, content);
    expect(ratesOf(machine, { file, measure: measuring() })).toEqual(rates);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ machine, gflops: rates });
  });

  it('that cannot be saved › are measured and returned', async () => {
    const file = join(dir, 'a-folder.json');
    await mkdir(file);
    expect(ratesOf(machine, { file, measure: measuring() })).toEqual(rates);
    expect(await readdir(dir)).not.toContainEqual(expect.stringMatching(/partial$/));
  });
});

describe('a processor', () => {
  it.each([
    ['amx', 'Intel(R) Xeon(R) Platinum 8481C', true],
    ['avx512_bf16', 'AMD EPYC 9B14', true],
    ['avx512_bf16', 'Intel(R) Xeon(R) Processor', false],
    ['avx512', 'Intel(R) Xeon(R) Gold 6330', false],
    ['avx2', 'AMD EPYC 7B13', false],
    ['baseline', 'Intel(R) Core(TM) i7', false],
  ])('with %s (%s) › multiplies bf16 as bf16: %s', (set, cpu, multiplies) => {
    expect(multipliesBf16(set, cpu)).toBe(multiplies);
  });

  it.runIf(process.arch === 'x64' && !backend.isUsingGpuDevice)('that does not › says so where bf16 is asked for', () => {
    const warned = multipliesBf16(instructionSet(), thisMachine().cpu) ? [] : [expect.stringMatching(/^precision is bf16, .* products are f32$/)];
    expect(precisionWarnings('bf16')).toEqual(warned);
    expect(precisionWarnings('f32')).toEqual([]);
  });
});

describe('the fastest precision', () => {
  it.each([
    [{ f32: 200, bf16: 380 }, 'bf16'],
    [{ f32: 200, bf16: 270 }, 'f32'],
    [{ f32: 200, bf16: 40 }, 'f32'],
  ] as const)('with the rates %j › is %s', (given, precision) => {
    expect(fasterOf(given)).toBe(precision);
  });

  // A processor without bf16 instructions is not measured at all.
  const measures = process.arch !== 'x64' || thisMachine().instructions?.some((name) => name.startsWith('avx512')) !== false;

  it.runIf(measures)('without saved rates › follows from those that are measured and saved', async () => {
    const file = join(dir, 'measured.json');
    const precision = fastestPrecision(file, 'bf16');
    const { machine, gflops } = JSON.parse(await readFile(file, 'utf8'));
    expect(machine).toEqual(thisMachine());
    expect(precision).toBe(fasterOf(gflops));
    expect(fastestPrecision(undefined, 'bf16')).toBe(precision);
  });

  it.runIf(measures).each([
    { f32: 1, bf16: 100 },
    { f32: 100, bf16: 1 },
  ])('with the saved rates %j › follows from them', async (gflops) => {
    const file = join(dir, 'this.json');
    await writeFile(file, JSON.stringify({ machine: thisMachine(), gflops }));
    expect(fastestPrecision(file, 'bf16')).toBe(fasterOf(gflops));
  });

  it('where products of bf16 are computed in f32 › is f32, and nothing is measured', async () => {
    const file = join(dir, 'unmeasured.json');
    expect(fastestPrecision(file, 'f32')).toBe('f32');
    expect(await readdir(dir)).not.toContain('unmeasured.json');
  });
});
