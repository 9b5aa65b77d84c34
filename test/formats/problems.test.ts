import { describe, expect, it } from 'vitest';
import { Problems } from '../../src/formats/problems.ts';
import { Refusal } from '../../src/formats/refusal.ts';

const together = (...messages: string[]) => {
  const problems = new Problems('training_file');
  for (const message of messages) problems.note(new Refusal('invalid_training_file', message));
  return problems.all!.message;
};

describe('several problems', () => {
  it('that are the same on many lines › are said once, with the lines', () => {
    expect(
      together('line 2, message 1 has no content', 'line 3 is blank', 'line 5, message 1 has no content', 'line 7, message 1 has no content'),
    ).toBe('4 problems: line 2, message 1 has no content (the same on lines 5 and 7); line 3 is blank');
  });

  it('that differ › are all said', () => {
    expect(together('line 2 is blank', 'line 12, message 2 has no content')).toBe('2 problems: line 2 is blank; line 12, message 2 has no content');
  });

  it('that are one › is said as it is', () => {
    expect(together('line 2 is blank')).toBe('line 2 is blank');
  });
});
