import { describe, expect, it, vi } from 'vitest';
import { openLog } from '../../../src/log.ts';
import { sharePlace } from '../../../workers/placement/shared-place.ts';
import type { ForkedTraining } from '../../../workers/process/forked.ts';

const log = openLog('silent');

/** A place with a process that records which of its runs were ended. */
function fakePlace() {
  const ended: number[] = [];
  const share = vi.fn((runs: number) =>
    Array.from({ length: runs }, (_, run) => ({
      run,
      async kill() {
        if (!ended.includes(run)) ended.push(run);
      },
    })),
  );
  const place = {
    devices: [null],
    takeProcess: vi.fn(() => ({ share }) as unknown as ForkedTraining),
    trained: vi.fn(),
    leave: vi.fn(),
  };
  return { place, share, ended };
}

describe('sharePlace', () => {
  it('gives every seat its run of one process, once', () => {
    const { place, share } = fakePlace();
    const seats = sharePlace(place, 2, log);
    expect(seats.map((seat) => seat.takeProcess(log))).toEqual([expect.objectContaining({ run: 0 }), expect.objectContaining({ run: 1 })]);
    expect(seats[0]!.takeProcess(log)).toBeNull();
    expect(place.takeProcess).toHaveBeenCalledOnce();
    expect(share).toHaveBeenCalledExactlyOnceWith(2);
  });

  it('is trained when the last seat is, and left when the last one leaves', async () => {
    const { place } = fakePlace();
    const [one, other] = sharePlace(place, 2, log) as [ReturnType<typeof sharePlace>[number], ReturnType<typeof sharePlace>[number]];
    one.takeProcess(log);
    other.takeProcess(log);
    one.trained();
    one.trained();
    await one.leave();
    expect(place.trained).not.toHaveBeenCalled();
    other.trained();
    expect(place.trained).toHaveBeenCalledOnce();
    expect(place.leave).not.toHaveBeenCalled();
    await other.leave();
    expect(place.leave).toHaveBeenCalledOnce();
  });

  it('ends the run of a seat that is left without it, before or after the process was taken, so that the others do not wait for it', async () => {
    const { place, ended } = fakePlace();
    const [early, taking, late] = sharePlace(place, 3, log);
    await early!.leave();
    expect(place.takeProcess).not.toHaveBeenCalled();
    taking!.takeProcess(log);
    expect(ended).toEqual([0]);
    await late!.leave();
    expect(ended).toEqual([0, 2]);
  });

  it('without a process at all › is given up', async () => {
    const { place } = fakePlace();
    for (const seat of sharePlace(place, 2, log)) await seat.leave();
    expect(place.leave).toHaveBeenCalledOnce();
    expect(place.takeProcess).not.toHaveBeenCalled();
  });
});
