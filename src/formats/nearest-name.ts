import { distance } from 'fastest-levenshtein';

/** A slip of the keyboard changes at most this many letters; in a short name, one, or two that changed places. */
const MAX_CHANGES = 2;
const SHORT_NAME = 4;

/** @returns the known name that was probably meant: the same but for case, hyphens and underscores, or but for a letter or two; null if none is so near */
export function nearestName(name: string, known: Iterable<string>): string | null {
  const meant = plain(name);
  let nearest: { name: string; changes: number } | null = null;
  for (const candidate of known) {
    const changes = distance(meant, plain(candidate));
    const isShort = Math.min(meant.length, candidate.length) <= SHORT_NAME;
    const isNear = changes <= (isShort ? 1 : MAX_CHANGES) || (changes === 2 && letters(meant) === letters(plain(candidate)));
    if (isNear && (nearest === null || changes < nearest.changes)) nearest = { name: candidate, changes };
  }
  return nearest?.name ?? null;
}

const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]/g, '');

const letters = (name: string): string => [...name].sort().join('');
