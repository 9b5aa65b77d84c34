import { describe, expect, it } from 'vitest';
import { Stopwatch } from '../../../workers/engine/stopwatch.ts';

describe('Stopwatch', () => {
  it('gives the time between two laps to the part that the later one names, and sums a part that is named again', () => {
    let nowMs = 1000;
    const watch = new Stopwatch(['data', 'graph', 'weights'], () => nowMs);
    const lapAfter = (ms: number, part: 'data' | 'graph') => {
      nowMs += ms;
      watch.lap(part);
    };
    lapAfter(500, 'data');
    lapAfter(2000, 'graph');
    lapAfter(250, 'data');
    expect(watch.seconds).toEqual({ data: 0.75, graph: 2, weights: 0 });
  });
});
