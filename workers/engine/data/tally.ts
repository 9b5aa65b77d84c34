/** Counts a file's examples as they are read, for the facts, warnings and receipt of the file. */
import type { ExampleFile } from '../../../src/formats/example-refusal.ts';
import { quantity } from '../../../src/formats/quantity.ts';
import type { FileReceipt } from '../../../src/formats/token-receipt.ts';
import type { DatasetFacts } from '../contract.ts';
import { type Example, supervisedTokens } from './batch.ts';
import { decodeSpans } from './decoded-spans.ts';
import type { LineExamples } from './line-examples.ts';
import { Notices } from './notices.ts';
import { longestSequence } from './sequences.ts';
import type { Tokenizer } from './tokenizer.ts';

/** OpenAI refuses fewer than ten examples; here they only cause a warning. */
const FEW_EXAMPLES = 10;
/** Number of examples shown decoded, and tokens shown of each: enough to see what is supervised, few enough to store with the job. */
const SAMPLES = 3;
export const SAMPLE_TOKENS = 1024;
/** Largest number of lines listed of a kind. */
const LINES_NAMED = 10;

export class Tally {
  /** Examples in the file. */
  lines = 0;
  dropped = 0;
  truncated = 0;
  /** Set once all examples are known. */
  duplicates = 0;
  readonly tooLong = new NamedLines();
  readonly unsupervised = new NamedLines();
  /** How the examples are learned, where it is not as one would think. */
  readonly notices = new Notices();
  readonly #incomplete = new NamedLines();
  #examples = 0;
  #tokens = 0;
  #supervisedTokens = 0;
  #teacherTokens = 0;
  #cutToNothing = 0;
  readonly #made = { texts: 0, pieces: 0, conversations: 0, turns: 0 };
  #longest = { tokens: 0, line: 1 };
  readonly #samples: { line: number; example: Example }[] = [];

  /** Counts a line, as it is in the file. */
  read(line: number, { examples, made }: LineExamples): void {
    this.lines += 1;
    const tokens = Math.max(...examples.map(longestSequence));
    if (tokens > this.#longest.tokens) this.#longest = { tokens, line };
    if (made === null) return;
    this.#made[made === 'pieces' ? 'texts' : 'conversations'] += 1;
    this.#made[made] += examples.length;
  }

  /** Counts an example left out because the chat template does not write all of a turn. */
  incomplete(line: number): void {
    this.lines += 1;
    this.#incomplete.add(line);
  }

  /** Counts an example as it is trained on. */
  keep(line: number, example: Example): void {
    this.#examples += 1;
    this.#tokens += example.inputIds.length;
    this.#supervisedTokens += supervisedTokens(example);
    this.#teacherTokens += teacherTokens(example);
    if (this.#samples.length < SAMPLES) this.#samples.push({ line, example });
  }

  /** @param before the example as it is in the file */
  nothingToLearn(line: number, before: Example): void {
    this.unsupervised.add(line);
    if (supervisedTokens(before) > 0) this.#cutToNothing += 1;
  }

  facts({ param, maxLengthTokens }: { param: ExampleFile; maxLengthTokens: number }): DatasetFacts {
    const { truncated, duplicates, unsupervised } = this;
    const examples = this.#examples;
    const warnings: string[] = [];
    const warn = (what: string) => warnings.push(`The ${param.replace('_', ' ')} has ${what}.`);
    if (examples < FEW_EXAMPLES && param === 'training_file') warn(`${quantity(examples, 'example')}; fewer than ${FEW_EXAMPLES} are rarely enough`);
    if (duplicates > 0) warn(`${quantity(duplicates, 'repeated example')} among its ${examples}`);
    if (unsupervised.count > 0)
      warn(`${quantity(unsupervised.count, 'example')} without a token to train on, left out; the first is on line ${unsupervised.first[0]}`);
    if (truncated > 0) warn(`${quantity(truncated, 'example')} longer than ${maxLengthTokens} tokens, cut to that length`);
    const { texts, pieces, conversations, turns } = this.#made;
    if (texts > 0) warn(`${quantity(texts, 'text')} longer than ${maxLengthTokens} tokens, cut into ${pieces} examples`);
    if (conversations > 0) warn(`${quantity(conversations, 'conversation')} with several turns to learn, made into ${turns} examples`);
    if (this.dropped > 0) warn(`${quantity(this.dropped, 'example')} longer than ${maxLengthTokens} tokens, left out`);
    if (this.#incomplete.count > 0)
      warn(
        `${quantity(this.#incomplete.count, 'example')} with a turn of which the chat template leaves out a part, left out; the first is on line ${this.#incomplete.first[0]}`,
      );
    for (const phrase of this.notices.phrases) warn(phrase);
    return {
      examples,
      tokens: this.#tokens,
      supervisedTokens: this.#supervisedTokens,
      longestTokens: this.#longest.tokens,
      truncated,
      dropped: this.dropped + unsupervised.count + this.#incomplete.count,
      warnings,
    };
  }

  #taught(tokens: number): { teacher_tokens?: number } {
    return this.#teacherTokens === 0 ? {} : { teacher_tokens: tokens };
  }

  async receipt(sha256: string, tokenizer: Tokenizer): Promise<FileReceipt> {
    const { tooLong, unsupervised } = this;
    const samples: FileReceipt['samples'] = [];
    for (const { line, example } of this.#samples) {
      const tokens = example.inputIds.length;
      const spans = await decodeSpans(example, tokenizer, SAMPLE_TOKENS);
      const counts = { tokens, supervised_tokens: supervisedTokens(example), ...this.#taught(teacherTokens(example)) };
      samples.push({ line, ...counts, shown_tokens: Math.min(tokens, SAMPLE_TOKENS), spans });
    }
    return {
      sha256,
      lines: this.lines,
      examples: this.#examples,
      tokens: this.#tokens,
      supervised_tokens: this.#supervisedTokens,
      ...this.#taught(this.#teacherTokens),
      longest: this.#longest,
      too_long: { examples: tooLong.count, truncated: this.truncated, dropped: this.dropped, lines: tooLong.first },
      nothing_to_learn: { examples: unsupervised.count, after_truncation: this.#cutToNothing, lines: unsupervised.first },
      ...(this.#made.texts + this.#made.conversations > 0 && { made: { ...this.#made } }),
      duplicates: this.duplicates,
      samples,
    };
  }
}

/** @returns how many of its tokens count in the loss and have a teacher */
const teacherTokens = ({ lossWeights, teacher }: Example): number => teacher?.at.filter((at) => lossWeights[at] !== 0).length ?? 0;

/** A count of lines, and the first of them by number. */
class NamedLines {
  count = 0;
  readonly first: number[] = [];

  add(line: number): void {
    this.count += 1;
    if (this.first.length < LINES_NAMED) this.first.push(line);
  }
}
