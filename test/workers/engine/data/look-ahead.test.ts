import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { lookAhead } from '../../../../workers/engine/data/look-ahead.ts';

const far = { most: Number.POSITIVE_INFINITY, at: () => 0 };

async function* upTo(count: number, failure?: Error) {
  for (let item = 0; item < count; item++) yield item;
  if (failure !== undefined) throw failure;
}

describe('lookAhead', () => {
  it('works on as many items at once as it may, and gives the results in order', async () => {
    let running = 0;
    let most = 0;
    const work = async (item: number) => {
      running += 1;
      most = Math.max(most, running);
      await delay(item % 3 === 0 ? 5 : 1);
      running -= 1;
      return item * 10;
    };
    const results: number[] = [];
    for await (const { item, result } of lookAhead(upTo(20), work, { most: 4, span: far })) {
      expect(await result).toBe(item * 10);
      results.push(item);
    }
    expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(most).toBe(4);
  });

  it('does not read further ahead in the source than it may, and always works on one', async () => {
    let read = 0;
    async function* large() {
      for (let item = 0; item < 5; item++) {
        read += 100;
        yield item;
      }
    }
    const ahead: number[] = [];
    for await (const { item, result } of lookAhead(large(), async (item) => item, { most: 10, span: { most: 150, at: () => read } })) {
      await result;
      ahead.push(read - 100 * (item + 1));
    }
    expect(ahead).toEqual([200, 200, 200, 100, 0]);
  });

  it('throws the source’s error after the items before it', async () => {
    const seen: number[] = [];
    const reading = async () => {
      for await (const { item } of lookAhead(upTo(3, new Error('torn')), async () => {}, { most: 8, span: far })) seen.push(item);
    };
    await expect(reading()).rejects.toThrow('torn');
    expect(seen).toEqual([0, 1, 2]);
  });

  it('gives an error of the work to whoever awaits that result, and to nobody else', async () => {
    const outcomes: string[] = [];
    const work = async (item: number) => {
      if (item > 0) throw new Error(`item ${item}`);
    };
    for await (const { result } of lookAhead(upTo(5), work, { most: 5, span: far })) {
      outcomes.push(await result.then(() => 'fine').catch((error: Error) => error.message));
      if (outcomes.length === 2) break; // an unhandled rejection of the others would fail this run
    }
    await delay(5);
    expect(outcomes).toEqual(['fine', 'item 1']);
  });

  it('left before its end closes the source', async () => {
    let closed = false;
    async function* source() {
      try {
        yield* upTo(100);
      } finally {
        closed = true;
      }
    }
    for await (const { item } of lookAhead(source(), async () => {}, { most: 2, span: far })) if (item === 1) break;
    expect(closed).toBe(true);
  });
});
