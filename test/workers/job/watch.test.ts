import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Job, JobPatch } from '../../../src/jobs/job.ts';
import type { JobStatus } from '../../../src/jobs/state.ts';
import type { JobStore } from '../../../src/jobs/store.ts';
import { type JobWatch, watchJob } from '../../../workers/job/watch.ts';

const START = 1_800_000_000_000;
let written: JobPatch[];
let watch: JobWatch;
/** The job's status in its row. */
let status: JobStatus;

const open = (stepsMs: number, tick = async () => {}) => {
  const heartbeat = async (_id: string, _attempt: number, patch: JobPatch) => {
    written.push(patch);
    return { status } as Job;
  };
  const jobs = { heartbeat } as unknown as JobStore;
  return watchJob(jobs, { id: 'job', attempt: 1 } as Job, { log: pino({ level: 'silent' }), tick, stepsMs });
};

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  written = [];
  status = 'queued';
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

describe('a pause', () => {
  /** @returns whether the worker was told to let go of the job */
  const pausedOn = async (seen: JobStatus): Promise<boolean> => {
    status = seen;
    await next();
    return watch.paused.aborted;
  };

  it('is noticed at the next heartbeat, which goes on until the worker lets go, without an estimate', async () => {
    watch = open(100_000);
    watch.preparing(START + 60_000);
    expect(await pausedOn('validating_files')).toBe(false);
    expect(await pausedOn('paused')).toBe(true);
    watch.progress({ step: 1, totalSteps: 10 });
    expect(await next()).toBeNull();
    expect(watch.lost.aborted).toBe(false);
  });

  it('that was resumed before the next heartbeat › is noticed while the job runs, and does not matter before', async () => {
    watch = open(0);
    for (const seen of ['validating_files', 'queued'] as const) expect(await pausedOn(seen)).toBe(false);
    watch.started();
    expect(await pausedOn('running')).toBe(false);
    expect(await pausedOn('queued')).toBe(true);
  });
});
