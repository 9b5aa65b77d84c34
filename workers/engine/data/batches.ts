/** Which examples an optimizer step sees, and how they are packed into passes. */
import { PASS_TOKENS, paddedLength } from '../../../src/formats/pass-size.ts';
import { type Batch, type Example, tokensIn } from './batch.ts';
import { byLength, type ExampleStore } from './example-store.ts';
import { sequencesIn } from './sequences.ts';
import { epochOrder } from './shuffle.ts';
import { type VirtualTokens, withVirtualTokens } from './virtual-tokens.ts';

/** The segment of padding, unlike any example's. */
const PADDING_SEGMENT = -1;
/** Number of examples packed together: the candidates for every gap. */
const WINDOW = 64;
/** Row length at which attention doubles the cost of a token, for models of usual size. */
const ROW_DOUBLING_COST = 1536;

/** @returns the examples of an optimizer step, counted from 0 */
export function stepExamples(examples: ExampleStore, options: { batchSize: number; seed: number }): (step: number) => Example[] {
  const indicesOf = stepIndices(examples, options);
  return (step) => Array.from(indicesOf(step), (index) => examples.read(index));
}

/**
 * An epoch's order of examples is made once, 4 bytes an example, and kept until a step of another epoch is asked for.
 * @returns the indices of the examples of an optimizer step, counted from 0; an epoch's last step takes what is left
 */
export function stepIndices(
  examples: Pick<ExampleStore, 'length'>,
  { batchSize, seed }: { batchSize: number; seed: number },
): (step: number) => Uint32Array {
  const stepsPerEpoch = Math.ceil(examples.length / batchSize);
  let made: { epoch: number; order: Uint32Array } | null = null;
  return (step) => {
    const epoch = Math.floor(step / stepsPerEpoch);
    if (made?.epoch !== epoch) made = { epoch, order: epochOrder(examples.length, { seed, epoch }) };
    const first = (step % stepsPerEpoch) * batchSize;
    return made.order.subarray(first, first + batchSize);
  };
}

export interface PackOptions {
  /** Largest number of padded tokens in a pass. */
  tokenBudget?: number;
  /** Rows longer than this hold a single example. */
  sharedRowLimit?: number;
  /** Put before each sequence. */
  virtual?: VirtualTokens | null;
}

/**
 * Splits examples into passes of at most `tokenBudget` padded tokens (a longer example gets its own pass) and packs several into a row, first-fit
 * decreasing. Tokens see only their own sequence of an example. The packing affects rounding only: the step's loss is a sum over its tokens.
 */
export function* microBatches(examples: ExampleStore, options: PackOptions = {}): Generator<Batch> {
  for (const window of byLength(examples, WINDOW)) {
    const { virtual } = options;
    const sequences = window.flatMap(sequencesIn).map((sequence) => (virtual ? withVirtualTokens(sequence, virtual) : sequence));
    let remaining = sequences.sort((a, b) => b.inputIds.length - a.inputIds.length);
    while (remaining.length > 0) {
      const { rows, length } = bestPass(remaining, options);
      const taken = new Set(rows.flat());
      remaining = remaining.filter((example) => !taken.has(example));
      yield layOut(rows, length);
    }
  }
}

interface Pass {
  rows: Example[][];
  length: number;
}

/** Packs one pass, with the row length that wastes least. @param examples longest first */
function bestPass(examples: readonly Example[], { tokenBudget = PASS_TOKENS, sharedRowLimit = Number.POSITIVE_INFINITY }: PackOptions): Pass {
  const shortest = paddedLength(examples[0]!.inputIds.length);
  const longest = Math.max(shortest, Math.min(2 * shortest, tokenBudget, sharedRowLimit));
  let best: Pass | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let length = shortest; length <= longest; length = paddedLength(length + 1)) {
    const rows = fill(examples, { length, count: Math.max(1, Math.floor(tokenBudget / length)), shared: length <= sharedRowLimit });
    const tokens = tokensIn(rows.flat());
    const cost = (rows.length * length * (1 + length / ROW_DOUBLING_COST)) / tokens;
    if (cost < bestCost) [best, bestCost] = [{ rows, length }, cost];
  }
  return best!;
}

function fill(examples: readonly Example[], { length, count, shared }: { length: number; count: number; shared: boolean }): Example[][] {
  const rows: { members: Example[]; room: number }[] = [];
  for (const example of examples) {
    const size = example.inputIds.length;
    const row = shared ? rows.find(({ room }) => room >= size) : undefined;
    if (row !== undefined) {
      row.members.push(example);
      row.room -= size;
    } else if (rows.length < count) rows.push({ members: [example], room: length - size });
  }
  return rows.map(({ members }) => members);
}

/**
 * @param rows the examples of each row
 * @param length padded length; default: that of the longest row
 */
export function layOut(rows: readonly (readonly Example[])[], length = longestRow(rows)): Batch {
  const size = rows.length * length;
  const batch = {
    rows: rows.length,
    length,
    inputIds: new Int32Array(size),
    lossWeights: new Float32Array(size),
    positions: new Int32Array(size),
    segments: new Int32Array(size).fill(PADDING_SEGMENT),
  };
  for (const [row, members] of rows.entries()) {
    let at = row * length;
    for (const [segment, { inputIds, lossWeights }] of members.entries()) {
      const end = at + inputIds.length;
      batch.inputIds.set(inputIds, at);
      batch.lossWeights.set(lossWeights, at);
      batch.lossWeights[at] = 0; // nothing predicts an example's first token
      batch.segments.fill(segment, at, end);
      for (let position = 0; position < inputIds.length; position++) batch.positions[at + position] = position;
      at = end;
    }
  }
  return batch;
}

const longestRow = (rows: readonly (readonly Example[])[]): number => Math.max(...rows.map((members) => paddedLength(tokensIn(members))));
