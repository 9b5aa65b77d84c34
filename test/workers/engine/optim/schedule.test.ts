import { describe, expect, it } from 'vitest';
import { largestDifference, readReference } from '../../../../reference/fixtures.ts';
import { learningRate, type Schedule } from '../../../../workers/engine/optim/schedule.ts';

interface ScheduleFixture {
  schedules: {
    name: Schedule['type'];
    kwargs: Schedule['kwargs'] & object;
    peak: number;
    totalSteps: number;
    warmupSteps: number;
    learningRates: number[];
  }[];
}
const optim = readReference<ScheduleFixture>('optim.json');

describe('learningRate', () => {
  it.each(optim.schedules)('$name and $kwargs with $warmupSteps warm-up steps of $totalSteps gives the rates of transformers', (schedule) => {
    const { name: type, learningRates, ...rest } = schedule;
    const got = learningRates.map((_, step) => learningRate(step, { type, ...rest }));
    expect(largestDifference(got, learningRates)).toBeLessThanOrEqual(1e-12);
  });
});
