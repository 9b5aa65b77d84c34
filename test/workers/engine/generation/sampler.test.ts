import { describe, expect, it } from 'vitest';
import { readReference } from '../../../../reference/fixtures.ts';
import { logProbabilities } from '../../../../workers/engine/generation/log-probabilities.ts';
import { chooseToken, type Filters, sequenceRandom } from '../../../../workers/engine/generation/sampler.ts';

interface Setting extends Partial<Omit<Filters, 'logitBias'>> {
  logitBias?: Record<string, number>;
  kept: number[];
  probabilities: number[];
}
const cases = readReference<Record<string, { logits: number[]; logprobs: number[]; settings: Setting[] }>>('sampling.json');
const settings = Object.entries(cases).flatMap(([logits, { settings }]) =>
  settings.map((setting) => {
    const { kept: _kept, probabilities: _probabilities, ...chosen } = setting;
    return { name: `${JSON.stringify(chosen)} of ${logits} logits`, logits: Float32Array.from(cases[logits]!.logits), setting };
  }),
);

const ALL: Filters = { temperature: 1, topK: 0, topP: 1, minP: 0, logitBias: new Map() };
const filtersOf = ({ kept: _kept, probabilities: _probabilities, logitBias = {}, ...rest }: Setting): Filters => ({
  ...ALL,
  ...rest,
  logitBias: new Map(Object.entries(logitBias).map(([id, bias]) => [Number(id), bias])),
});

/** How often each token is chosen as the random number goes evenly from 0 to 1. */
const DRAWS = 1000;
function frequencies(logits: Float32Array, filters: Filters): Map<number, number> {
  const counts = new Map<number, number>();
  for (let draw = 0; draw < DRAWS; draw++) {
    const id = chooseToken(logits, filters, () => (draw + 0.5) / DRAWS);
    counts.set(id, (counts.get(id) ?? 0) + 1 / DRAWS);
  }
  return counts;
}

const descending = (values: Iterable<number>): number[] => [...values].sort((a, b) => b - a);

describe('chooseToken', () => {
  it.each(settings)('with $name › follows transformers’ logits processors', ({ logits, setting }) => {
    const found = frequencies(logits, filtersOf(setting));
    // Of equal logits at the edge of top-p, transformers keeps those that its sort happens to put last.
    const wanted = descending(setting.probabilities);
    for (const [rank, frequency] of descending(found.values()).entries()) expect(Math.abs(frequency - wanted[rank]!)).toBeLessThan(2 / DRAWS);
    expect(wanted.slice(found.size).every((probability) => probability < 1 / DRAWS)).toBe(true);
    if (new Set(logits).size === logits.length)
      for (const [index, id] of setting.kept.entries())
        expect(Math.abs((found.get(id) ?? 0) - setting.probabilities[index]!)).toBeLessThan(2 / DRAWS);
  });

  it('at temperature 0 › takes the most probable token, and of equal ones the first, without a random number', () => {
    const none = (): number => expect.fail('took a random number');
    expect(chooseToken(Float32Array.of(1, 3, 2, 3), { ...ALL, temperature: 0 }, none)).toBe(1);
    expect(chooseToken(Float32Array.of(1, 3, 2, 3), { ...ALL, temperature: 0, logitBias: new Map([[2, 1.5]]) }, none)).toBe(2);
  });

  it('leaves the logits as they were', () => {
    const logits = Float32Array.of(1, 3, 2);
    chooseToken(logits, { ...ALL, logitBias: new Map([[0, 50]]), topK: 2 }, () => 0.5);
    expect(logits).toEqual(Float32Array.of(1, 3, 2));
  });

  it('never takes a token whose logit is -∞', () => {
    const logits = Float32Array.of(Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 1);
    for (const filters of [ALL, { ...ALL, topK: 3 }, { ...ALL, topP: 0.99 }, { ...ALL, minP: 1e-9 }])
      expect([...frequencies(logits, filters).keys()].sort()).toEqual([1, 3]);
  });

  it('with logits that are NaN › says so', () => {
    expect(() => chooseToken(new Float32Array(8).fill(Number.NaN), ALL, () => 0.5)).toThrow('not finite');
  });
});

describe('sequenceRandom', () => {
  const first = (seed: number): number[] => Array.from({ length: 4 }, sequenceRandom(seed));

  it('repeats with the same seed, and differs with another, also beyond 32 bits', () => {
    expect(first(7)).toEqual(first(7));
    const seeds = [0, 1, 7, -7, 2 ** 32, 2 ** 32 + 7, Number.MAX_SAFE_INTEGER];
    expect(new Set(seeds.map((seed) => first(seed).join())).size).toBe(seeds.length);
  });
});

describe('logProbabilities', () => {
  it.each(Object.keys(cases))('of %s logits › follows log_softmax, most probable first', (name) => {
    const { logits, logprobs } = cases[name]!;
    const { tokenId, logprob, top } = logProbabilities(Float32Array.from(logits), 17, 20);
    expect(tokenId).toBe(17);
    expect(logprob).toBeCloseTo(logprobs[17]!, 5);
    const wanted = logprobs.map((value, id) => ({ value, id })).sort((a, b) => b.value - a.value || a.id - b.id);
    expect(top.map(({ tokenId }) => tokenId)).toEqual(wanted.slice(0, 20).map(({ id }) => id));
    for (const [rank, { logprob }] of top.entries()) expect(logprob).toBeCloseTo(wanted[rank]!.value, 5);
  });

  it('reports the chosen token alone, or all tokens of a small vocabulary', () => {
    expect(logProbabilities(Float32Array.of(0, 0), 1, 0)).toEqual({ tokenId: 1, logprob: -Math.log(2), top: [] });
    expect(logProbabilities(Float32Array.of(0, 0), 1, 9).top).toHaveLength(2);
  });
});
