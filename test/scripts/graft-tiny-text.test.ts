import { describe, expect, it } from 'vitest';
import { type Conversation, conversations } from '../../scripts/graft-tiny/conversations.ts';
import { initialWeights } from '../../scripts/graft-tiny/initial-model.ts';
import { hash32, seededRandom } from '../../scripts/graft-tiny/seeded-random.ts';
import { rows } from '../../scripts/graft-tiny/world/table.ts';

const talk = (seed: number, split: 'training' | 'validation', count = 50): Conversation[] => [...conversations({ seed, count, split })];

describe('conversations', () => {
  it('with the same seed are the same', () => {
    expect(talk(3, 'training')).toEqual(talk(3, 'training'));
  });

  it('with another seed or split are different', () => {
    expect(talk(4, 'training')).not.toEqual(talk(3, 'training'));
    expect(talk(3, 'validation')).not.toEqual(talk(3, 'training'));
  });

  it('alternate user and assistant, after at most one system message', () => {
    for (const { messages } of talk(1, 'training')) {
      const turns = messages[0]?.role === 'system' ? messages.slice(1) : messages;
      expect(turns.length).toBeGreaterThan(0);
      expect(turns.map(({ role }) => role)).toEqual(turns.map((_, i) => (i % 2 === 0 ? 'user' : 'assistant')));
    }
  });

  it('leave no blank in a phrasing', () => {
    for (const { messages } of talk(2, 'training', 300)) for (const { content } of messages) expect(content).toMatch(/^[^_]+$/);
  });
});

describe('seededRandom', () => {
  it('follows mulberry32', () => {
    // The first numbers of the public reference implementation for seed 1.
    const random = seededRandom(1);
    expect([random.next(), random.next()]).toEqual([0.6270739405881613, 0.002735721180215478]);
  });

  it('draws normal numbers with mean 0 and standard deviation 1', () => {
    const random = seededRandom(5);
    const draws = Array.from({ length: 20_000 }, () => random.normal());
    const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });
});

describe('hash32', () => {
  it('spreads keys evenly over twelve buckets', () => {
    const counts = new Array<number>(12).fill(0);
    for (let i = 0; i < 12_000; i++) counts[hash32(`animal-colour|a cow|${i}`) % 12]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe('rows', () => {
  it('with a cell missing › throws an error that names the line', () => {
    expect(() => rows('cow | brown', ['name', 'colour', 'food'])).toThrow('"cow | brown" has 2 cells instead of 3');
  });
});

describe('initialWeights', () => {
  it('depend only on the seed and number 2.8 million', () => {
    const [one, again] = [initialWeights(1), initialWeights(1)];
    expect(one.get('model.layers.5.mlp.down_proj.weight')).toEqual(again.get('model.layers.5.mlp.down_proj.weight'));
    expect([...one.values()].reduce((sum, { data }) => sum + data.length, 0)).toBe(2_755_008);
  });
});
