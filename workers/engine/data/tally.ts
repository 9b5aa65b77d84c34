/** What is counted while a file of examples goes by, and what is told of it. */
import type { ExampleFile } from '../../../src/formats/examples.ts';
import type { FileReceipt } from '../../../src/formats/token-receipt.ts';
import type { DatasetFacts } from '../contract.ts';
import { type Example, supervisedTokens } from './batch.ts';
import { decodeSpans } from './decoded-spans.ts';
import { exampleDigest } from './example-digest.ts';
import type { Tokenizer } from './tokenizer.ts';

/** OpenAI refuses fewer than ten examples; here they train, with a warning. */
export const FEW_EXAMPLES = 10;
/** Examples that are shown decoded, and how much of each: enough to see what is learned, little enough to keep with the job. */
export const SAMPLES = 3;
export const SAMPLE_TOKENS = 1024;
/** So many lines are named of each kind. */
const LINES_NAMED = 10;

export class Tally {
  /** Examples in the file. */
  lines = 0;
  dropped = 0;
  truncated = 0;
  duplicates = 0;
  /** Digests of all examples that are kept. */
  readonly seen = new Set<string>();
  readonly tooLong = new NamedLines();
  readonly unsupervised = new NamedLines();
  #examples = 0;
  #tokens = 0;
  #supervisedTokens = 0;
  #emptied = 0;
  #longest = { tokens: 0, line: 1 };
  readonly #samples: { line: number; example: Example }[] = [];

  /** An example as it is in the file. */
  read(line: number, tokens: number, maxLengthTokens: number): void {
    this.lines += 1;
    if (tokens > this.#longest.tokens) this.#longest = { tokens, line };
    if (tokens > maxLengthTokens) this.tooLong.add(line);
  }

  /** An example as it is trained on. */
  keep(line: number, example: Example): void {
    this.#examples += 1;
    this.#tokens += example.inputIds.length;
    this.#supervisedTokens += supervisedTokens(example);
    const digest = exampleDigest(example);
    if (this.seen.has(digest)) this.duplicates += 1;
    this.seen.add(digest);
    if (this.#samples.length < SAMPLES) this.#samples.push({ line, example });
  }

  /** @param before the example as it is in the file */
  nothingToLearn(line: number, before: Example): void {
    this.unsupervised.add(line);
    if (supervisedTokens(before) > 0) this.#emptied += 1;
  }

  facts({ param, maxLengthTokens }: { param: ExampleFile; maxLengthTokens: number }): DatasetFacts {
    const { truncated, duplicates, unsupervised } = this;
    const examples = this.#examples;
    const file = param.replace('_', ' ');
    const warnings: string[] = [];
    if (examples < FEW_EXAMPLES && param === 'training_file')
      warnings.push(`The ${file} has ${examples} examples; fewer than ${FEW_EXAMPLES} rarely teach more than themselves.`);
    if (duplicates > 0) warnings.push(`${duplicates} of ${examples} examples in the ${file} repeat an earlier one.`);
    if (unsupervised.count > 0)
      warnings.push(
        `${unsupervised.count} examples in the ${file} have no token to learn and were left out, the first on line ${unsupervised.first[0]}.`,
      );
    if (truncated > 0) warnings.push(`${truncated} examples in the ${file} were cut to ${maxLengthTokens} tokens.`);
    if (this.dropped > 0) warnings.push(`${this.dropped} examples in the ${file} are longer than ${maxLengthTokens} tokens and were dropped.`);
    return {
      examples,
      tokens: this.#tokens,
      supervisedTokens: this.#supervisedTokens,
      longestTokens: this.#longest.tokens,
      truncated,
      dropped: this.dropped + unsupervised.count,
      warnings,
    };
  }

  async receipt(sha256: string, tokenizer: Tokenizer): Promise<FileReceipt> {
    const { tooLong, unsupervised } = this;
    const samples: FileReceipt['samples'] = [];
    for (const { line, example } of this.#samples) {
      const tokens = example.inputIds.length;
      const spans = await decodeSpans(example, tokenizer, SAMPLE_TOKENS);
      samples.push({ line, tokens, supervised_tokens: supervisedTokens(example), shown_tokens: Math.min(tokens, SAMPLE_TOKENS), spans });
    }
    return {
      sha256,
      lines: this.lines,
      examples: this.#examples,
      tokens: this.#tokens,
      supervised_tokens: this.#supervisedTokens,
      longest: this.#longest,
      too_long: { examples: tooLong.count, truncated: this.truncated, dropped: this.dropped, lines: tooLong.first },
      nothing_to_learn: { examples: unsupervised.count, after_truncation: this.#emptied, lines: unsupervised.first },
      duplicates: this.duplicates,
      samples,
    };
  }
}

/** How many, and the first of them by line. */
class NamedLines {
  count = 0;
  readonly first: number[] = [];

  add(line: number): void {
    this.count += 1;
    if (this.first.length < LINES_NAMED) this.first.push(line);
  }
}
