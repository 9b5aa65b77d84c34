import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Answer } from '../../../workers/process/messages.ts';
import { activity, PATIENCE, TrainingProcessHung } from '../../../workers/process/patience.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const step = (seconds: number) => ({ id: '', answer: 'step', report: { step: 1, totalSteps: 9, metrics: { seconds } } }) as unknown as Answer;
const working = (at: 'writing' | 'evaluating'): Answer => ({ id: '', answer: 'working', at });
const runs = () => false;
const never = new Promise<never>(() => {});

/** After how many seconds without an answer the process counts as hanging. */
async function patienceAfter(...answers: (readonly [Answer, number])[]): Promise<number> {
  const current = activity(PATIENCE, runs);
  for (const [answer, waitedMs] of answers) current.answered(answer, waitedMs);
  const hung = current.within(never).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(24 * 3600 * 1000);
  const error = (await hung) as TrainingProcessHung;
  expect(error).toBeInstanceOf(TrainingProcessHung);
  return Math.round(error.silentMs / 1000);
}

describe('the patience with a training process', () => {
  it('before its first step is that for reading, opening and compiling', async () => {
    expect(await patienceAfter()).toBe(PATIENCE.preparingMs / 1000);
  });

  it('between steps is a multiple of the longest, and at least the floor', async () => {
    expect(await patienceAfter([step(1), 30_000])).toBe(PATIENCE.stepMs / 1000);
    expect(await patienceAfter([step(30), 30_000], [step(10), 10_000], [step(1), 1_000])).toBe(10 * PATIENCE.stepFactor);
    expect(await patienceAfter([step(30), 30_000], [step(0.01), 10])).toBe(PATIENCE.stepMs / 1000);
  });

  it('after the first step, which also compiles, is a multiple of it, without the time before it', async () => {
    expect(await patienceAfter([step(70), 500_000])).toBe(70 * PATIENCE.stepFactor);
  });

  it('while it writes is long, and that for steps again afterwards', async () => {
    expect(await patienceAfter([step(1), 1_000], [working('writing'), 10])).toBe(PATIENCE.writingMs / 1000);
    expect(await patienceAfter([step(1), 1_000], [working('writing'), 10], [working('evaluating'), 10])).toBe(PATIENCE.stepMs / 1000);
  });

  it('with one that a signal has stopped is a minute in a row, in any phase', async () => {
    let isStopped = true;
    const hung = vi.fn();
    activity(PATIENCE, () => isStopped)
      .within(never)
      .catch(hung);
    await vi.advanceTimersByTimeAsync(0.9 * PATIENCE.stoppedMs);
    isStopped = false;
    await vi.advanceTimersByTimeAsync(2_000);
    isStopped = true;
    await vi.advanceTimersByTimeAsync(0.9 * PATIENCE.stoppedMs);
    expect(hung).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(0.2 * PATIENCE.stoppedMs);
    expect(hung).toHaveBeenCalledOnce();
  });

  it('does not count the time in which this process slept as well', async () => {
    let asleepMs = 0;
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + asleepMs);
    const hung = vi.fn();
    activity(PATIENCE, runs).within(never).catch(hung);
    await vi.advanceTimersByTimeAsync(5_000);
    asleepMs = 10 * PATIENCE.preparingMs;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(hung).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(PATIENCE.preparingMs);
    expect(hung).toHaveBeenCalledOnce();
    clock.mockRestore();
  });
});
