/** Merges that a vocabulary of SentencePiece implies, which lists none: any two tokens that make a third may be merged, those of the highest score first. */
import { KIND } from './token-kinds.ts';

interface Scored {
  tokens: readonly string[];
  kinds: readonly number[];
  /** Of each token. */
  scores: readonly number[];
}

interface Merge {
  left: string;
  right: string;
  score: number;
  ids: [number, number];
}

/** A token is matched in texts, and made by merges, unless it stands for a byte or for something that no text has. */
const isMade = (kind: number): boolean => kind === KIND.normal || kind === KIND.userDefined;

/**
 * In the order of `generate_merges` in transformers. Tokens that a user defined come first, in the order of their ids: SentencePiece matches them before it merges
 * anything, and converters give them the lowest score.
 */
export function mergesByScore({ tokens, kinds, scores }: Scored): [left: string, right: string][] {
  const ids = new Map(tokens.flatMap((text, id): [string, number][] => (isMade(kinds[id]!) ? [[text, id]] : [])));
  const defined = kinds.filter((kind) => kind === KIND.userDefined).length;
  let place = 0;
  const merges = [...ids].flatMap(([text, id]) => {
    const score = kinds[id] === KIND.userDefined ? 1 + defined - place++ : Math.min(scores[id]!, 0);
    return splitsOf(text, score, ids);
  });
  merges.sort((a, b) => b.score - a.score || b.left.length - a.left.length || b.right.length - a.right.length);
  return merges.map(({ left, right }) => [left, right]);
}

/** @returns the ways to make a token of two others, by their ids */
function splitsOf(text: string, score: number, ids: ReadonlyMap<string, number>): Merge[] {
  const found: Merge[] = [];
  for (let at = 1; at < text.length; at++) {
    const [left, right] = [text.slice(0, at), text.slice(at)];
    const [first, second] = [ids.get(left), ids.get(right)];
    if (first !== undefined && second !== undefined) found.push({ left, right, score, ids: [first, second] });
  }
  return found.sort((a, b) => a.ids[0] - b.ids[0] || a.ids[1] - b.ids[1]);
}
