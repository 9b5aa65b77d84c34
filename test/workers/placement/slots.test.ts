import { describe, expect, it } from 'vitest';
import { type Slot, slotPool } from '../../../workers/placement/slots.ts';

const never = new AbortController().signal;
const devices = (slots: Slot[] | null) => slots?.map(({ device }) => device);

/** The result once all pending work has run, or `waiting`. */
async function settled(taking: Promise<Slot[] | null>): Promise<Slot[] | null | 'waiting'> {
  await new Promise((resolve) => setImmediate(resolve));
  return Promise.race([taking, Promise.resolve('waiting' as const)]);
}

describe('a pool of slots', () => {
  it('gives each job slots that no other job has', async () => {
    const pool = slotPool(['0', '1', '2']);
    const [one, two] = [await pool.take(1, never), await pool.take(2, never)];
    expect([devices(one), devices(two)]).toEqual([['0'], ['1', '2']]);
    expect(await settled(pool.take(1, never))).toBe('waiting');
  });

  it('returns null at once to a job that asks for more slots than it has', async () => {
    expect(await slotPool(['0', '1']).take(3, never)).toBeNull();
  });

  it('lets a job wait until enough slots are free', async () => {
    const pool = slotPool(['0', '1']);
    const [first, second] = [(await pool.take(1, never))!, (await pool.take(1, never))!];
    const wide = pool.take(2, never);
    pool.release(second);
    expect(await settled(wide)).toBe('waiting');
    pool.release(first);
    expect(devices(await wide)).toEqual(['1', '0']);
  });

  it('serves waiting jobs in order of arrival', async () => {
    const pool = slotPool(['0', '1']);
    const first = (await pool.take(1, never))!;
    const wide = pool.take(2, never);
    const narrow = pool.take(1, never);
    expect(await settled(narrow)).toBe('waiting'); // one slot is free, but reserved for the earlier job
    pool.release(first);
    expect(await settled(narrow)).toBe('waiting');
    pool.release((await wide)!);
    expect(devices(await narrow)).toEqual(['1']);
  });

  it('returns null to waiting jobs when the worker stops, and gives out no slots after that', async () => {
    const pool = slotPool(['0']);
    const stopping = new AbortController();
    const taken = (await pool.take(1, stopping.signal))!;
    const waiting = pool.take(1, stopping.signal);
    stopping.abort();
    expect(await waiting).toBeNull();
    pool.release(taken);
    expect(await pool.take(1, stopping.signal)).toBeNull();
    expect(devices(await pool.take(1, never))).toEqual(['0']);
  });

  it('serves the jobs behind one that stops waiting', async () => {
    const pool = slotPool(['0', '1']);
    await pool.take(1, never);
    const impatient = new AbortController();
    const wide = pool.take(2, impatient.signal);
    const narrow = pool.take(1, never);
    impatient.abort();
    expect([await wide, devices(await narrow)]).toEqual([null, ['1']]);
  });
});
