import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commonSubsequence } from '../../../src/formats/graders/common-subsequence.ts';
import { METRICS, type Metric } from '../../../src/formats/graders/similarity.ts';

interface Case {
  input: string;
  reference: string;
  scores: Record<Metric, number>;
}

const fixtures = new URL('../../fixtures/graders/text-similarity.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(fixtures, 'utf8')) as { cases: Case[] };

describe.each(Object.keys(METRICS) as Metric[])('%s', (metric) => {
  it('gives what the Python library gives, to 1e-12', () => {
    expect(cases.length).toBeGreaterThan(30);
    for (const { input, reference, scores } of cases)
      expect(METRICS[metric](input, reference), `${input} | ${reference}`).toSatisfy((score: number) => Math.abs(score - scores[metric]) < 1e-12);
  });

  it('of any two texts › is from 0 to 1, and 1 for a text of six words and itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const score = METRICS[metric](a, b);
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
      }),
    );
    expect(METRICS[metric]('one two three four five six', 'one two three four five six')).toBeCloseTo(1, 12);
  });
});

describe('the longest common subsequence', () => {
  it('is as long as the table of its definition says', () => {
    const symbols = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 70 });
    fc.assert(fc.property(symbols, symbols, (a, b) => commonSubsequence(a, b) === byTable(a, b)));
  });
});

function byTable(a: string[], b: string[]): number {
  let row: number[] = Array(b.length + 1).fill(0);
  for (const symbol of a) {
    const next = [0];
    for (const [index, other] of b.entries()) next.push(symbol === other ? row[index]! + 1 : Math.max(row[index + 1]!, next[index]!));
    row = next;
  }
  return row.at(-1)!;
}
