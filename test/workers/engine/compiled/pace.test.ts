import { describe, expect, it } from 'vitest';
import { type Pace, PaceFinder, type Way } from '../../../../workers/engine/compiled/together/pace.ts';

/** Runs rounds that take what is given for each way. @returns the ways, in order */
function rounds(finder: PaceFinder, count: number, { runs, seconds }: { runs: number; seconds: Record<Way, number> }): Way[] {
  return Array.from({ length: count }, () => {
    const way = finder.next(runs);
    finder.took(way, { seconds: seconds[way], tokens: 8 });
    return way;
  });
}

function found() {
  const paces: Pace[] = [];
  return { paces, finder: new PaceFinder((pace) => paces.push(pace)) };
}

describe('PaceFinder', () => {
  it('tries both ways in turns and keeps the faster one', () => {
    const { paces, finder } = found();
    const ways = rounds(finder, 10, { runs: 3, seconds: { shared: 1, own: 1.5 } });
    expect(ways).toEqual([...['shared', 'own', 'shared', 'own', 'shared', 'own', 'shared', 'own'], 'shared', 'shared']);
    expect(paces).toEqual([{ runs: 3, speed: 1.5, isShared: true }]);
  });

  it('where sharing is no gain beyond the noise › computes the runs one after the other', () => {
    const { paces, finder } = found();
    expect(rounds(finder, 10, { runs: 2, seconds: { shared: 1, own: 1.03125 } }).slice(8)).toEqual(['own', 'own']);
    expect(paces).toEqual([{ runs: 2, speed: 1.03125, isShared: false }]);
  });

  it('does not count the first round of each way, which warms up, nor the tokens of a round', () => {
    const { paces, finder } = found();
    for (const [seconds, tokens] of [9, 1, 2, 6, 2, 6, 2, 6].map((time, index) => [time, index % 2 === 0 ? 10 : 30] as const))
      finder.took(finder.next(2), { seconds, tokens });
    expect(paces[0]!.speed).toBeCloseTo(1, 12);
  });

  it('when a run has ended › measures again, once for each number of runs', () => {
    const { paces, finder } = found();
    rounds(finder, 8, { runs: 3, seconds: { shared: 1, own: 2 } });
    rounds(finder, 3, { runs: 2, seconds: { shared: 1, own: 1 } });
    expect(finder.next(3)).toBe('shared');
    rounds(finder, 8, { runs: 2, seconds: { shared: 2, own: 1 } });
    expect(finder.next(2)).toBe('own');
    expect(paces.map(({ runs }) => runs)).toEqual([3, 2]);
  });
});
