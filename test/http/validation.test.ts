import { describe, expect, it } from 'vitest';
import { compileSchema, validationError } from '../../src/http/validation.ts';
import { CreateJob } from '../../src/jobs/schema.ts';
import { processorStopwatch } from '../processor-time.ts';

const validate = compileSchema({ schema: CreateJob, httpPart: 'body' });

function refusalOf(body: unknown) {
  expect(validate(body)).toBe(false);
  return validationError(validate.errors!);
}

const unknownKeys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 'x']));

describe('the error of an invalid body', () => {
  it('names each problem of a body with a few', () => {
    const { param, text } = refusalOf({ model: '', seed: -1, color: 'red' });
    expect(param).toBe('training_file');
    for (const problem of ['training_file is missing', 'model is empty', 'seed is -1; the smallest is 0', 'color is unknown'])
      expect(text).toContain(problem);
    expect(text).not.toContain('and others');
  });

  it('for 100,000 unknown keys takes time linear in their number, and names ten', () => {
    const spentMs = processorStopwatch();
    const { code, text } = refusalOf({ model: 'm', training_file: 'f', ...unknownKeys(100_000) });
    expect(spentMs()).toBeLessThan(5_000); // it was 105 s for 16,000
    expect(code).toBe('unknown_parameter');
    expect(text).toMatch(/^key0 is unknown .*key9 is unknown.*; and others/);
    expect(text).not.toContain('key10 ');
  });

  it.each([
    ['a name of a megabyte', { model: 'm', training_file: 'f', ['x'.repeat(2 ** 20)]: 1 }],
    ['a value of a megabyte', { model: 'm', training_file: { text: 'x'.repeat(2 ** 20) } }],
    ['a value nested 100,000 deep', { model: 'm', training_file: JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown }],
    [
      'a union whose alternatives all fail, 50,000 times',
      { model: 'm', training_file: 'f', tuning: unknownKeys(50_000), metadata: unknownKeys(50_000) },
    ],
  ])('stays short and quick for %s', (_, body) => {
    const spentMs = processorStopwatch();
    const { text, param } = refusalOf(body);
    expect(spentMs()).toBeLessThan(2_000);
    expect(text.length).toBeLessThan(4_000);
    expect(param?.length ?? 0).toBeLessThan(200);
  });
});
