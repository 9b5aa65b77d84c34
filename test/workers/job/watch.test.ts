import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Job, JobPatch } from '../../../src/jobs/job.ts';
import type { JobStore } from '../../../src/jobs/store.ts';
import { type JobWatch, watchJob } from '../../../workers/job/watch.ts';

const START = 1_800_000_000_000;
let written: JobPatch[];
let watch: JobWatch;

const open = (stepsMs: number, tick = async () => {}) => {
  const heartbeat = async (_id: string, _attempt: number, patch: JobPatch) => {
    written.push(patch);
    return {} as Job;
  };
  const jobs = { heartbeat } as unknown as JobStore;
  return watchJob(jobs, { id: 'job', attempt: 1 } as Job, { log: pino({ level: 'silent' }), tick, stepsMs });
};

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  written = [];
});
afterEach(async () => {
  await watch.stop();
  vi.useRealTimers();
});

/** What the next heartbeat writes. */
const next = async () => {
  await vi.advanceTimersByTimeAsync(1_000);
  return written.at(-1)!.estimatedFinish;
};
const at = (seconds: number) => new Date(START + 1000 * seconds);

describe("a job's estimated finish", () => {
  it('is when the data has been read, then unknown, then when the last step ends', async () => {
    watch = open(0);
    expect(await next()).toBeUndefined();
    watch.preparing(START + 60_000);
    expect(await next()).toEqual(at(60));
    watch.preparing(null);
    expect(await next()).toBeNull();
    watch.progress({ step: 1, totalSteps: 10 });
    await vi.advanceTimersByTimeAsync(2_000);
    watch.progress({ step: 2, totalSteps: 10 });
    expect(await next()).toEqual(at(5 + 16));
  });

  it('counts the steps that an earlier attempt timed', async () => {
    watch = open(100_000);
    watch.preparing(START + 60_000);
    expect(await next()).toEqual(at(160));
    watch.preparing(null);
    expect(await next()).toEqual(at(101));
  });

  it('of a job whose data was read too fast to report on it › stays unknown until the steps are timed', async () => {
    watch = open(0);
    watch.preparing(null);
    expect(await next()).toBeUndefined();
  });
});

describe("a job's heartbeat", () => {
  it('is written every second while a slow write of the steps is under way', async () => {
    let ticks = 0;
    let end = () => {};
    watch = open(0, () => {
      ticks += 1;
      return new Promise((resolve) => {
        end = resolve;
      });
    });
    await vi.advanceTimersByTimeAsync(5_000);
    expect([written.length, ticks]).toEqual([5, 1]);
    end();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([written.length, ticks]).toEqual([6, 2]);
    end();
  });
});
