/** A file of examples, tokenised and checked. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type ExampleFile, exampleError, Problems, readExamples } from '../../../src/formats/examples.ts';
import { InputError } from '../../../src/formats/input-error.ts';
import type { DatasetFacts } from '../contract.ts';
import type { Example } from './batch.ts';
import type { ChatTemplate } from './chat-template.ts';
import { tokenizeExample } from './supervision.ts';
import type { Tokenizer } from './tokenizer.ts';

/** OpenAI refuses fewer than ten examples; here they train, with a warning. */
export const FEW_EXAMPLES = 10;

export interface Dataset {
  examples: Example[];
  facts: DatasetFacts;
  /** Of the file's bytes, hex. */
  sha256: string;
}

export interface DatasetOptions {
  param: ExampleFile;
  tokenizer: Tokenizer;
  template: ChatTemplate | null;
  /** Rows of the model's embedding. */
  vocabSize: number;
  maxLengthTokens: number;
  truncation: 'error' | 'right' | 'left' | 'drop';
  /** Large files take minutes: aborting stops between two examples. */
  signal?: AbortSignal | undefined;
}

/**
 * Reads a JSONL file as a stream, so that its text is never in memory whole.
 * @throws InputError naming the lines at fault, the first ten at once
 */
export async function readDataset(path: string, options: DatasetOptions): Promise<Dataset> {
  const { param, tokenizer, template, maxLengthTokens, truncation, signal } = options;
  const hash = createHash('sha256');
  const problems = new Problems(param);
  const tally = new Tally();
  const examples: Example[] = [];
  try {
    for await (const { lineNumber, example } of readExamples(hashed(createReadStream(path), hash), param)) {
      signal?.throwIfAborted();
      try {
        const whole = await tokenizeExample(example, tokenizer, template);
        checkVocabulary(whole, options);
        tally.longestTokens = Math.max(tally.longestTokens, whole.inputIds.length);
        const kept = shorten(whole, maxLengthTokens, truncation);
        if (kept === 'too long') {
          problems.add(tooLong(lineNumber, whole.inputIds.length, options));
        } else if (kept === null) {
          tally.dropped += 1;
        } else if (!kept.lossMask.includes(1)) {
          tally.unsupervised.push(lineNumber);
        } else {
          if (kept !== whole) tally.truncated += 1;
          tally.count(kept);
          examples.push(kept);
        }
      } catch (error) {
        if (error instanceof InputError) throw error;
        problems.add(exampleError(param, `line ${lineNumber} ${(error as Error).message}`));
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw exampleError(param, `${path} does not exist`);
    throw error;
  }
  problems.throwIfAny();
  if (examples.length === 0) throw nothingToLearn(tally, options);
  return { examples, facts: tally.facts(examples.length, options), sha256: hash.digest('hex') };
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, hash: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
}

/** @returns the example, or what is left of it, or null when it is to be dropped */
function shorten(example: Example, maxLengthTokens: number, truncation: DatasetOptions['truncation']): Example | 'too long' | null {
  const { length } = example.inputIds;
  if (length <= maxLengthTokens) return example;
  if (truncation === 'error') return 'too long';
  if (truncation === 'drop') return null;
  const [start, end] = truncation === 'right' ? [0, maxLengthTokens] : [length - maxLengthTokens, length];
  const cut = { inputIds: example.inputIds.slice(start, end), lossMask: example.lossMask.slice(start, end) };
  cut.lossMask[0] = 0; // what predicted it is gone
  return cut;
}

function tooLong(lineNumber: number, tokens: number, { param, maxLengthTokens }: DatasetOptions): InputError {
  return exampleError(
    param,
    `line ${lineNumber} has ${tokens} tokens; the limit is ${maxLengthTokens}`,
    'Shorten it, or set truncation to "right", "left" or "drop".',
  );
}

function nothingToLearn({ unsupervised, dropped }: Tally, { param, maxLengthTokens }: DatasetOptions): InputError {
  const first = unsupervised[0];
  if (first === undefined)
    return exampleError(param, `all ${dropped} examples are longer than ${maxLengthTokens} tokens and were dropped`, 'Shorten them.');
  return exampleError(
    param,
    `no example has a token to learn, beginning with line ${first}`,
    'What the assistant says is learned unless its weight is 0 or it is cut off at max_length.',
  );
}

/** An id past the embedding would read beyond the model's weights. */
function checkVocabulary({ inputIds }: Example, { vocabSize, tokenizer }: DatasetOptions): void {
  const beyond = inputIds.find((id) => id >= vocabSize);
  if (beyond !== undefined)
    throw new InputError(
      'corrupt_model_file',
      `the tokenizer in ${tokenizer.modelDir} gives the id ${beyond}, but the model knows only ${vocabSize} tokens`,
      {
        param: 'model',
        hint: 'Use the tokenizer that the model was made with.',
      },
    );
}

/** What is counted while the file goes by. */
class Tally {
  tokens = 0;
  supervisedTokens = 0;
  longestTokens = 0;
  truncated = 0;
  dropped = 0;
  duplicates = 0;
  /** Lines without a token to learn. */
  readonly unsupervised: number[] = [];
  readonly #seen = new Set<string>();

  count({ inputIds, lossMask }: Example): void {
    this.tokens += inputIds.length;
    for (const supervised of lossMask) this.supervisedTokens += supervised;
    const key = createHash('sha1').update(inputIds).update(lossMask).digest('base64');
    if (this.#seen.has(key)) this.duplicates += 1;
    this.#seen.add(key);
  }

  facts(examples: number, { param, maxLengthTokens }: DatasetOptions): DatasetFacts {
    const { tokens, supervisedTokens, longestTokens, truncated, duplicates, unsupervised } = this;
    const dropped = this.dropped + unsupervised.length;
    const file = param.replace('_', ' ');
    const warnings: string[] = [];
    if (examples < FEW_EXAMPLES && param === 'training_file')
      warnings.push(`The ${file} has ${examples} examples; fewer than ${FEW_EXAMPLES} rarely teach more than themselves.`);
    if (duplicates > 0) warnings.push(`${duplicates} of ${examples} examples in the ${file} repeat an earlier one.`);
    if (unsupervised.length > 0)
      warnings.push(`${unsupervised.length} examples in the ${file} have no token to learn and were left out, the first on line ${unsupervised[0]}.`);
    if (truncated > 0) warnings.push(`${truncated} examples in the ${file} were cut to ${maxLengthTokens} tokens.`);
    if (this.dropped > 0) warnings.push(`${this.dropped} examples in the ${file} are longer than ${maxLengthTokens} tokens and were dropped.`);
    return { examples, tokens, supervisedTokens, longestTokens, truncated, dropped, warnings };
  }
}
