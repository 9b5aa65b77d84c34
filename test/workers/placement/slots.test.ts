import { describe, expect, it } from 'vitest';
import { type Slot, slotPool } from '../../../workers/placement/slots.ts';

const never = new AbortController().signal;
const devices = (slots: Slot[] | null) => slots?.map(({ device }) => device);

/** What has been answered when everything that can happen has happened. */
async function answered(taking: Promise<Slot[] | null>): Promise<Slot[] | null | 'waiting'> {
  await new Promise((resolve) => setImmediate(resolve));
  return Promise.race([taking, Promise.resolve('waiting' as const)]);
}

describe('a pool of slots', () => {
  it('gives each job slots that no other job has', async () => {
    const pool = slotPool(['0', '1', '2']);
    const [one, two] = [await pool.take(1, never), await pool.take(2, never)];
    expect([devices(one), devices(two)]).toEqual([['0'], ['1', '2']]);
    expect(await answered(pool.take(1, never))).toBe('waiting');
  });

  it('says at once when it is smaller than a job asks for', async () => {
    expect(await slotPool(['0', '1']).take(3, never)).toBeNull();
  });

  it('lets a job wait until enough slots are free', async () => {
    const pool = slotPool(['0', '1']);
    const [first, second] = [(await pool.take(1, never))!, (await pool.take(1, never))!];
    const wide = pool.take(2, never);
    pool.giveBack(second);
    expect(await answered(wide)).toBe('waiting');
    pool.giveBack(first);
    expect(devices(await wide)).toEqual(['1', '0']);
  });

  it('serves waiting jobs in the order in which they came', async () => {
    const pool = slotPool(['0', '1']);
    const first = (await pool.take(1, never))!;
    const wide = pool.take(2, never);
    const narrow = pool.take(1, never);
    expect(await answered(narrow)).toBe('waiting'); // one slot is free, and kept for the job before
    pool.giveBack(first);
    expect(await answered(narrow)).toBe('waiting');
    pool.giveBack((await wide)!);
    expect(devices(await narrow)).toEqual(['1']);
  });

  it('answers waiting jobs when the worker stops, and gives out nothing after', async () => {
    const pool = slotPool(['0']);
    const stopping = new AbortController();
    const taken = (await pool.take(1, stopping.signal))!;
    const waiting = pool.take(1, stopping.signal);
    stopping.abort();
    expect(await waiting).toBeNull();
    pool.giveBack(taken);
    expect(await pool.take(1, stopping.signal)).toBeNull();
    expect(devices(await pool.take(1, never))).toEqual(['0']);
  });

  it('serves the jobs behind one that gives up', async () => {
    const pool = slotPool(['0', '1']);
    await pool.take(1, never);
    const impatient = new AbortController();
    const wide = pool.take(2, impatient.signal);
    const narrow = pool.take(1, never);
    impatient.abort();
    expect([await wide, devices(await narrow)]).toEqual([null, ['1']]);
  });
});
