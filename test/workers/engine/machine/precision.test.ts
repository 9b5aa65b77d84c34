import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fasterOf, fastestPrecision, type Machine, ratesOf, thisMachine } from '../../../../workers/engine/machine/precision.ts';

const machine: Machine = { cpu: 'EPYC', cores: 2, instructions: ['avx2', 'avx512_bf16'], gpu: false, tensorflow: '2.21.0' };
const rates = { f32: 200, bf16: 380 };

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-machine-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A measurement that counts. */
const measuring = (found = rates) => vi.fn(() => found);

describe('a machine’s rates', () => {
  it('that nobody measured yet › are measured and kept in a folder that is made, with nothing beside the file', async () => {
    const file = join(dir, 'new/data/machine.json');
    const measure = measuring();
    expect(ratesOf(machine, { file, measure })).toEqual(rates);
    expect(measure).toHaveBeenCalledOnce();
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ machine, gflops: rates });
    expect(await readdir(join(dir, 'new/data'))).toEqual(['machine.json']);
  });

  it('that an earlier process kept › are read and not measured again', () => {
    const file = join(dir, 'kept.json');
    ratesOf(machine, { file, measure: measuring() });
    const again = measuring({ f32: 1, bf16: 1 });
    expect(ratesOf(machine, { file, measure: again })).toEqual(rates);
    expect(again).not.toHaveBeenCalled();
  });

  it.each([
    ['processor', { cpu: 'Xeon' }],
    ['number of cores', { cores: 4 }],
    ['instructions under the same name', { instructions: ['avx2'] }],
    ['GPU', { gpu: true }],
    ['TensorFlow', { tensorflow: '2.22.0' }],
  ])('kept of a machine with another %s › are measured again and replaced', async (_, other) => {
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
    ['has rates that are no numbers', JSON.stringify({ machine, gflops: { f32: 'fast', bf16: null } })],
  ])('in a file that %s › are measured again and written whole', async (_, content) => {
    const file = join(dir, 'broken.json');
    await writeFile(file, content);
    expect(ratesOf(machine, { file, measure: measuring() })).toEqual(rates);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ machine, gflops: rates });
  });

  it('that cannot be written › are measured all the same', async () => {
    const file = join(dir, 'a-folder.json');
    await mkdir(file);
    expect(ratesOf(machine, { file, measure: measuring() })).toEqual(rates);
    expect(await readdir(dir)).not.toContainEqual(expect.stringMatching(/partial$/));
  });
});

describe('the fastest precision', () => {
  it.each([
    [{ f32: 200, bf16: 380 }, 'bf16'],
    [{ f32: 200, bf16: 270 }, 'f32'],
    [{ f32: 200, bf16: 40 }, 'f32'],
  ] as const)('of a machine with the rates %j › is %s', (given, precision) => {
    expect(fasterOf(given)).toBe(precision);
  });

  // A processor that has nothing for bf16 is not measured at all.
  const measures = process.arch !== 'x64' || thisMachine().instructions?.some((name) => name.startsWith('avx512')) !== false;

  it.runIf(measures)('of this machine, which nobody measured yet › follows from the rates that are then kept', async () => {
    const file = join(dir, 'measured.json');
    const precision = fastestPrecision(file);
    const { machine, gflops } = JSON.parse(await readFile(file, 'utf8'));
    expect(machine).toEqual(thisMachine());
    expect(precision).toBe(fasterOf(gflops));
    expect(fastestPrecision()).toBe(precision);
  });

  it.runIf(measures).each([
    { f32: 1, bf16: 100 },
    { f32: 100, bf16: 1 },
  ])('of this machine › is what its kept rates %j say', async (gflops) => {
    const file = join(dir, 'this.json');
    await writeFile(file, JSON.stringify({ machine: thisMachine(), gflops }));
    expect(fastestPrecision(file)).toBe(fasterOf(gflops));
  });
});
