/** Which examples an optimizer step sees, and how they are packed into passes. */
import { PASS_TOKENS, paddedLength } from '../../../src/formats/pass-size.ts';
import { type Batch, type Example, tokensIn } from './batch.ts';
import { byLength, type ExampleStore } from './example-store.ts';
import { sequencesIn } from './sequences.ts';
import { epochOrder } from './shuffle.ts';
import { joinTeachers } from './teacher.ts';
import { type VirtualTokens, withVirtualTokens } from './virtual-tokens.ts';

/** The segment of padding, unlike any example's. */
const PADDING_SEGMENT = -1;
/** Number of examples packed together: the candidates for every gap. */
const WINDOW = 64;
/** Row length at which attention doubles the cost of a token, for models of usual size. */
const ROW_DOUBLING_COST = 1536;

interface StepOptions {
  batchSize: number;
  seed: number;
  /** Whether every epoch has the steps of the first; default: each has an order of its own. */
  sameEachEpoch?: boolean;
}

/** @returns the examples of an optimizer step, counted from 0 */
export function stepExamples(examples: ExampleStore, options: StepOptions): (step: number) => Example[] {
  const indicesOf = stepIndices(examples, options);
  return (step) => Array.from(indicesOf(step), (index) => examples.read(index));
}

/**
 * An epoch's order of examples is made once, 4 bytes an example, and kept until a step of another epoch is asked for.
 * @returns the indices of the examples of an optimizer step, counted from 0; an epoch's last step takes what is left
 */
export function stepIndices(
  examples: Pick<ExampleStore, 'length'>,
  { batchSize, seed, sameEachEpoch = false }: StepOptions,
): (step: number) => Uint32Array {
  const stepsPerEpoch = Math.ceil(examples.length / batchSize);
  let made: { epoch: number; order: Uint32Array } | null = null;
  return (step) => {
    const epoch = sameEachEpoch ? 0 : Math.floor(step / stepsPerEpoch);
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
  /** Whether all sequences of an example are in one pass, which says which is which; default: each goes where it wastes least. */
  together?: boolean;
}

/** Sequences that are in one pass: an example's, or one alone. */
interface Unit {
  sequences: Example[];
  reference: Float32Array | undefined;
}

/**
 * Splits examples into passes of at most `tokenBudget` padded tokens (a longer example gets its own pass) and packs several into a row, first-fit
 * decreasing. Tokens see only their own sequence of an example. The packing affects rounding only: the step's loss is a sum over its tokens.
 */
export function* microBatches(examples: ExampleStore, options: PackOptions = {}): Generator<Batch> {
  for (const window of byLength(examples, WINDOW)) {
    let remaining = window.flatMap((example) => unitsOf(example, options)).sort((a, b) => longestIn(b) - longestIn(a));
    while (remaining.length > 0) {
      const { rows, units, length } = bestPass(remaining, options);
      remaining = remaining.filter((unit) => !units.has(unit));
      yield layOut(rows, length, options.together ? [...units] : undefined);
    }
  }
}

function unitsOf(example: Example, { together = false, virtual }: PackOptions): Unit[] {
  const sequences = sequencesIn(example).map((sequence) => (virtual ? withVirtualTokens(sequence, virtual) : sequence));
  const { reference } = example;
  return together ? [{ sequences, reference }] : sequences.map((sequence) => ({ sequences: [sequence], reference: undefined }));
}

const longestIn = ({ sequences }: Unit): number => Math.max(...sequences.map(({ inputIds }) => inputIds.length));

interface Rows {
  rows: Example[][];
  /** Whose sequences they hold. */
  units: Set<Unit>;
}

interface Pass extends Rows {
  length: number;
}

/** Packs one pass, with the row length that wastes least. @param units longest first */
function bestPass(units: readonly Unit[], { tokenBudget = PASS_TOKENS, sharedRowLimit = Number.POSITIVE_INFINITY }: PackOptions): Pass {
  const shortest = paddedLength(longestIn(units[0]!));
  const atLeast = units[0]!.sequences.length; // rows, so that there is room for one unit
  const longest = Math.max(shortest, Math.min(2 * shortest, tokenBudget, sharedRowLimit));
  let best: Pass | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let length = shortest; length <= longest; length = paddedLength(length + 1)) {
    const filled = fill(units, { length, count: Math.max(atLeast, Math.floor(tokenBudget / length)), shared: length <= sharedRowLimit });
    const tokens = tokensIn(filled.rows.flat());
    const cost = (filled.rows.length * length * (1 + length / ROW_DOUBLING_COST)) / tokens;
    if (cost < bestCost) [best, bestCost] = [{ ...filled, length }, cost];
  }
  return best!;
}

interface Row {
  members: Example[];
  room: number;
}

interface FillOptions {
  length: number;
  count: number;
  shared: boolean;
}

function fill(units: readonly Unit[], options: FillOptions): Rows {
  let rows: Row[] = [];
  const taken = new Set<Unit>();
  for (const unit of units) {
    const withUnit = placed(unit, rows, options);
    if (withUnit === null) continue;
    rows = withUnit;
    taken.add(unit);
  }
  return { rows: rows.map(({ members }) => members), units: taken };
}

/** @returns the rows with all sequences of a unit; null if there is not room for all of them */
function placed({ sequences }: Unit, rows: readonly Row[], { length, count, shared }: FillOptions): Row[] | null {
  const after = [...rows];
  for (const sequence of sequences) {
    const size = sequence.inputIds.length;
    const index = shared ? after.findIndex(({ room }) => room >= size) : -1;
    if (index !== -1) {
      const { members, room } = after[index]!;
      after[index] = { members: [...members, sequence], room: room - size };
    } else if (after.length < count) after.push({ members: [sequence], room: length - size });
    else return null;
  }
  return after;
}

/**
 * @param rows the sequences of each row
 * @param length padded length; default: that of the longest row
 * @param units the examples that they belong to, if the batch says which token is whose
 */
export function layOut(rows: readonly (readonly Example[])[], length = longestRow(rows), units?: readonly Unit[]): Batch {
  const size = rows.length * length;
  const numbers = new Map(units?.flatMap(({ sequences }) => sequences).map((sequence, number) => [sequence, number]));
  const references = units?.map(({ reference }) => reference);
  const batch: Batch & Required<Pick<Batch, 'positions' | 'segments'>> = {
    rows: rows.length,
    length,
    inputIds: new Int32Array(size),
    lossWeights: new Float32Array(size),
    positions: new Int32Array(size),
    segments: new Int32Array(size).fill(PADDING_SEGMENT),
    contents: rows,
    ...(units !== undefined && { sequences: new Int32Array(size).fill(PADDING_SEGMENT) }),
    ...(references?.every((reference) => reference !== undefined) && { reference: Float32Array.from(references.flatMap((values) => [...values])) }),
  };
  const teachers: Parameters<typeof joinTeachers>[0][number][] = [];
  for (const [row, members] of rows.entries()) {
    let at = row * length;
    for (const [segment, sequence] of members.entries()) {
      const { inputIds, lossWeights, teacher } = sequence;
      const end = at + inputIds.length;
      batch.inputIds.set(inputIds, at);
      batch.lossWeights.set(lossWeights, at);
      if (teacher) teachers.push({ teacher, offset: at });
      batch.lossWeights[at] = 0; // nothing predicts an example's first token
      batch.segments.fill(segment, at, end);
      batch.sequences?.fill(numbers.get(sequence)!, at, end);
      for (let position = 0; position < inputIds.length; position++) batch.positions[at + position] = position;
      at = end;
    }
  }
  return teachers.length === 0 ? batch : { ...batch, teacher: joinTeachers(teachers) };
}

const longestRow = (rows: readonly (readonly Example[])[]): number => Math.max(...rows.map((members) => paddedLength(tokensIn(members))));
