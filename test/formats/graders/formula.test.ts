import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFormula } from '../../../src/formats/graders/formula.ts';

const evaluate = (text: string, values: Record<string, number> = { a: 2, b: 3 }) =>
  parseFormula(text, Object.keys(values), 'grader.calculate_output')(values);

describe('a formula', () => {
  it.each([
    ['0.25 * a + 0.75 * b', 2.75],
    ['a + b * 2 ^ 3 ^ 0 / 3 - 1', 3],
    ['2 ^ 3 ^ 2', 512],
    ['-a + +b', 1],
    ['(a + b) * -1', -5],
    ['min(a, b, 1) + max(a, b)', 4],
    ['abs(a - b) + floor(2.7) + ceil(2.1) + sqrt(4) + exp(0) + log(1)', 9],
    ['1e-1 * a', 0.2],
  ])('%s is %d', (text, value) => expect(evaluate(text)).toBeCloseTo(value, 12));

  it.each([
    '',
    'c',
    'a b',
    'a +',
    'a; b',
    'a, b',
    'a.constructor',
    'a["b"]',
    'constructor',
    'this',
    'constructor()',
    'toString(1)',
    'min()',
    'sqrt(a, b)',
    'a ? b : 1',
    'a && b',
    'a | b',
    'a == b',
    '!a',
    '~a',
    '"text"',
    'true',
    '[a]',
    '-a ^ 2',
    'a = 1',
    '(() => 1)()',
    `${'('.repeat(600)}a${')'.repeat(600)}`,
  ])('%s is refused', (text) => {
    expect(() => evaluate(text)).toThrow(expect.objectContaining({ code: 'invalid_formula', param: 'grader.calculate_output' }));
  });

  it('of any text › gives a number or is refused, and nothing else', () => {
    const part = fc.oneof(
      fc.constantFrom('a', 'b', '+', '-', '*', '/', '^', '(', ')', 'min', ',', '1', '.', '[', ']', '__proto__', '=', '?'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        try {
          expect(typeof evaluate(parts.join(' '))).toBe('number');
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_formula' });
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
