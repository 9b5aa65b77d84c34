/** A file of examples, tokenised and checked. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { parseOf } from '../../../src/formats/example-families.ts';
import { ExampleKeys } from '../../../src/formats/example-keys.ts';
import { type ExampleFile, exampleError } from '../../../src/formats/example-refusal.ts';
import { readExamples } from '../../../src/formats/examples.ts';
import { hashed } from '../../../src/formats/hashing.ts';
import type { ObjectiveFormat } from '../../../src/formats/objectives/format.ts';
import { objectiveFormat } from '../../../src/formats/objectives/objectives.ts';
import { Problems } from '../../../src/formats/problems.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { FileReceipt } from '../../../src/formats/token-receipt.ts';
import type { DatasetFacts, TrainReport } from '../contract.ts';
import { type Example, supervisedTokens } from './batch.ts';
import { UnmatchedWeights } from './conversation.ts';
import { CountedBytes } from './counted-bytes.ts';
import { countRepeats } from './digests.ts';
import { idBytesFor } from './example-record.ts';
import { IncompleteTurn } from './incomplete-turns.ts';
import { examplesOfLine, type LineExamples } from './line-examples.ts';
import { lookAhead } from './look-ahead.ts';
import { progressReporter } from './reading-progress.ts';
import { longestSequence } from './sequences.ts';
import { shorten, type Truncation } from './shorten.ts';
import { Tally } from './tally.ts';
import { OtherTokens } from './teacher-tokens.ts';
import type { ChatTemplate } from './template/chat-template.ts';
import { type TokenFile, type TokenFileContent, TokenWriter } from './token-file.ts';
import type { Tokenizer } from './tokenizer.ts';

/** How many examples are tokenised at once, and how much of the file they may take: enough for the tokenizer's threads, little memory. */
const EXAMPLES_AT_ONCE = 32;
const BYTES_AT_ONCE = 2 ** 20;

export interface Dataset {
  /** On disk; whoever has the dataset closes it. */
  examples: TokenFile;
  facts: DatasetFacts;
  /** SHA-256 of the file, hex. */
  sha256: string;
}

/** A file that was tokenised, whether or not it can be trained on. */
export interface ReadDataset extends Dataset {
  receipt: FileReceipt;
  content: TokenFileContent;
  /** Why it cannot be trained on: examples are too long, or none has a supervised token. */
  problem: Refusal | null;
}

export interface DatasetOptions {
  param: ExampleFile;
  tokenizer: Tokenizer;
  template: ChatTemplate | null;
  /** Rows of the model's embedding. */
  vocabSize: number;
  maxLengthTokens: number;
  truncation: Truncation;
  /** What the objective learns from; default: supervised examples. */
  families?: ObjectiveFormat['examples'];
  /** What happens to an example with a turn of which the chat template leaves out a part; default: error. */
  incompleteTurns?: 'error' | 'drop';
  /** Whether each turn to learn of a conversation is an example; default: whole conversations are. */
  multiTurn?: 'whole' | 'split' | undefined;
  /** Large files take minutes; aborting stops between two examples. */
  signal?: AbortSignal | undefined;
  /** Takes the examples; default: one whose files are gone when they are closed. */
  writer?: TokenWriter | undefined;
  /** Called now and then while the file is read. */
  preparing?: TrainReport['preparing'] | undefined;
}

/**
 * Reads a JSONL file as a stream, so that its whole text is never in memory.
 * @throws Refusal naming the first ten lines at fault
 */
export async function readDataset(path: string, options: DatasetOptions): Promise<Dataset> {
  const read = await tokenizeFile(path, options);
  if (read.problem === null) return read;
  read.examples.close();
  throw read.problem;
}

/**
 * Like readDataset, but if examples are too long or none has a supervised token, returns the file with that problem instead of throwing.
 * @throws Refusal naming the lines that cannot be read
 */
export async function tokenizeFile(path: string, options: DatasetOptions): Promise<ReadDataset> {
  const writer = options.writer ?? TokenWriter.temporary(idBytesFor(options.vocabSize));
  try {
    return await tokenizeInto(writer, path, options);
  } catch (error) {
    writer.close();
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? exampleError(options.param, `${path} does not exist`) : error;
  }
}

async function tokenizeInto(writer: TokenWriter, path: string, options: DatasetOptions): Promise<ReadDataset> {
  const { param, tokenizer, template, maxLengthTokens, truncation, families = objectiveFormat('supervised').examples, signal } = options;
  const { size: bytesTotal } = await stat(path);
  const hash = createHash('sha256');
  const bytes = new CountedBytes(hashed(createReadStream(path), hash));
  const report = progressReporter(options, bytesTotal);
  const problems = new Problems(param);
  const lengths = new Problems(param);
  const tally = new Tally();
  const keys = new ExampleKeys(template?.keys);
  const making = {
    knownShapes: new Set<string>(),
    maxLengthTokens,
    cutsTexts: truncation === 'error',
    splitsTurns: options.multiTurn === 'split',
    learnsFromTeacher: families[0] === 'distilled',
    splitsPairs: families.includes('labelled'),
  };
  const read = readExamples(bytes, param, { keys, parse: (value, at) => parseOf(families, value, at) });
  const started = lookAhead(read, ({ example }) => examplesOfLine(example, tokenizer, template, making), {
    most: EXAMPLES_AT_ONCE,
    span: { most: BYTES_AT_ONCE, at: () => bytes.count },
  });
  for await (const { item, result } of started) {
    signal?.throwIfAborted();
    await report(bytes.count, tally.lines);
    const { lineNumber } = item;
    let line: LineExamples;
    try {
      line = await result;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const isIncomplete = error instanceof IncompleteTurn;
      if (isIncomplete && options.incompleteTurns === 'drop') tally.incomplete(lineNumber);
      else problems.add(exampleError(param, `line ${lineNumber} ${(error as Error).message}`, hintOf(error)));
      continue;
    }
    tally.read(lineNumber, line);
    for (const whole of line.examples) {
      checkVocabulary(whole, options);
      tally.notices.add(lineNumber, whole.notices);
      const tokens = longestSequence(whole);
      if (tokens > maxLengthTokens) tally.tooLong.add(lineNumber);
      const kept = shorten(whole, { maxLengthTokens, truncation, together: families[0] === 'preference' });
      if (kept === 'too long') {
        lengths.note(tooLong(lineNumber, tokens, options));
      } else if (kept === null) {
        tally.dropped += 1;
      } else if (supervisedTokens(kept) === 0) {
        tally.nothingToLearn(lineNumber, whole);
      } else {
        if (kept !== whole) tally.truncated += 1;
        tally.keep(lineNumber, kept);
        writer.append(kept, lineNumber);
      }
    }
  }
  problems.throwIfAny();
  const sha256 = hash.digest('hex');
  const { examples, content } = writer.finish();
  tally.duplicates = countRepeats(examples.digests());
  const facts = tally.facts(options);
  facts.warnings.push(...keys.warnings(param.replace('_', ' ')));
  const problem = lengths.all ?? (examples.length === 0 ? nothingToLearn(tally, options) : null);
  return { examples, content, facts, sha256, receipt: await tally.receipt(sha256, tokenizer), problem };
}

const hintOf = (error: unknown): string | undefined =>
  error instanceof IncompleteTurn || error instanceof UnmatchedWeights || error instanceof OtherTokens ? error.hint : undefined;

function tooLong(lineNumber: number, tokens: number, { param, maxLengthTokens }: DatasetOptions): Refusal {
  return exampleError(
    param,
    `line ${lineNumber} has ${tokens} tokens; the limit is ${maxLengthTokens}`,
    'Shorten it, or set truncation to "right", "left" or "drop".',
  );
}

function nothingToLearn({ unsupervised }: Tally, { param, maxLengthTokens }: DatasetOptions): Refusal {
  const first = unsupervised.first[0];
  if (first === undefined) return exampleError(param, `every example is longer than ${maxLengthTokens} tokens and was left out`, 'Shorten them.');
  return exampleError(
    param,
    `no example has a token to train on, starting with line ${first}`,
    'Assistant messages are trained on unless their weight is 0 or max_length cuts them off.',
  );
}

/** An id past the embedding would read outside the model's weights. */
function checkVocabulary({ inputIds }: Example, { vocabSize, tokenizer }: DatasetOptions): void {
  const beyond = inputIds.find((id) => id >= vocabSize);
  if (beyond !== undefined)
    throw new Refusal(
      'corrupt_model_file',
      `the tokenizer in ${tokenizer.modelDir} produces the id ${beyond}, but the model knows only ${vocabSize} tokens`,
      {
        param: 'model',
        hint: 'Use the tokenizer that the model was trained with.',
      },
    );
}
