/** Prompts with the answers of other examples, from which KTO estimates how far the model is from its reference. */
import type { Example } from './batch.ts';
import { stepIndices } from './batches.ts';
import type { Dataset } from './dataset.ts';
import type { ExampleStore } from './example-store.ts';
import type { TokenFile } from './token-file.ts';

interface StepOptions {
  batch_size: number;
  max_length: number;
  seed: number;
}

/** Mismatches the examples of each step with each other, and those of the validation file by as many, in its order. */
export function mismatchFiles(
  { training, validation }: { training: Dataset; validation: Dataset | null },
  { batch_size: batchSize, max_length: maxLengthTokens, seed }: StepOptions,
): void {
  const indicesOf = stepIndices(training.examples, { batchSize, seed, sameEachEpoch: true });
  mismatch(training.examples, { batches: batches(training.examples.length, batchSize, (batch) => indicesOf(batch)), maxLengthTokens });
  if (validation === null) return;
  const { length } = validation.examples;
  const inOrder = (batch: number) =>
    Uint32Array.from({ length: Math.min(batchSize, length - batch * batchSize) }, (_, place) => batch * batchSize + place);
  mismatch(validation.examples, { batches: batches(length, batchSize, inOrder), maxLengthTokens });
}

function* batches(examples: number, batchSize: number, batchOf: (batch: number) => Uint32Array): Generator<Uint32Array> {
  for (let batch = 0; batch < Math.ceil(examples / batchSize); batch++) yield batchOf(batch);
}

/**
 * Gives each example its prompt with the answer of another example of its batch: of the one before it in the file's order, as TRL does, and the first gets
 * the last one's. Where that has the same prompt, as the two answers of a pair have, the one before it is taken.
 * @param batches the examples of each batch, by index; each example is in one of them
 */
export function mismatch(examples: TokenFile, { batches, maxLengthTokens }: { batches: Iterable<Uint32Array>; maxLengthTokens: number }): void {
  const others = new Uint32Array(examples.length);
  for (const batch of batches) for (const [index, other] of partnersIn(examples, batch)) others[index] = other;
  examples.mismatched = (example, index) => withAnswerOf(example, examples.stored(others[index]!), maxLengthTokens);
}

function* partnersIn(examples: ExampleStore, batch: Uint32Array): Generator<[index: number, other: number]> {
  const order = batch.slice().sort();
  const prompts = Array.from(order, (index) => promptOf(examples.read(index)));
  for (const [place, index] of order.entries()) {
    const before = (steps: number): number => (place - steps + order.length) % order.length;
    let steps = 1;
    while (steps < order.length && isSame(prompts[before(steps)]!, prompts[place]!)) steps += 1;
    yield [index, order[before(steps < order.length ? steps : 1)]!];
  }
}

function withAnswerOf(example: Example, other: Example, maxLengthTokens: number): Example {
  const prompt = promptOf(example);
  const answer = other.inputIds.subarray(promptOf(other).length);
  const inputIds = new Int32Array(Math.min(prompt.length + answer.length, maxLengthTokens));
  inputIds.set(prompt);
  inputIds.set(answer.subarray(0, inputIds.length - prompt.length), prompt.length);
  return { inputIds, lossWeights: new Float32Array(inputIds.length).fill(1, prompt.length) };
}

const promptOf = ({ inputIds, lossWeights }: Example): Int32Array =>
  inputIds.subarray(
    0,
    lossWeights.findIndex((weight) => weight !== 0),
  );

const isSame = (one: Int32Array, other: Int32Array): boolean => one.length === other.length && one.every((id, index) => id === other[index]);
