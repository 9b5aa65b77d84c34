import { describe, expect, it } from 'vitest';
import { fileVersion, scalarsRecord, type TensorBoardStep } from '../../src/formats/tensorboard.ts';
import fixture from '../fixtures/tensorboard/events.json' with { type: 'json' };

const steps: (TensorBoardStep & { record: string })[] = fixture.steps;

describe('an event file of TensorBoard', () => {
  it('begins as one that TensorBoard writes itself', () => {
    expect(fileVersion(steps[0]!.wallTime).toString('base64')).toBe(fixture.version);
  });

  it.each(steps)('at step $step has the record that TensorBoard writes itself', ({ record, ...step }) => {
    expect(scalarsRecord(step).toString('base64')).toBe(record);
  });
});
