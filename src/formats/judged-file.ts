/** What a file of examples is good for, before a model is known: every line is judged by the format of every method. */

import { type AnyExample, familyOf, namedFamily, parseAny } from './example-families.ts';
import { ExampleKeys } from './example-keys.ts';
import { parseLine } from './example-line.ts';
import { type ExampleFile, ExampleRefusal } from './example-refusal.ts';
import { emptyFile } from './examples.ts';
import { judgeLines } from './judged-lines.ts';
import { isDescriptive, UNUSED, USED } from './known-keys.ts';
import { type BadLine, type Line, splitLines } from './lines.ts';
import { nearestName } from './nearest-name.ts';
import type { ExampleFamily } from './objectives/format.ts';
import type { Refusal } from './refusal.ts';
import { cut } from './shown.ts';
import type { UploadedAdapter } from './uploaded-adapter.ts';

/** How many problems are kept: the others are counted. */
export const PROBLEMS_KEPT = 100;
/** What is shown of a problem and of its hint, characters; each may quote megabytes. */
const MAX_TEXT = 500;
/** How many keys a warning names. */
const KEYS_NAMED = 10;

export interface FileProblem {
  /** All from 1; null where there is none. */
  line: number | null;
  message: number | null;
  field: string | null;
  /** In a table: which row, from 1 without the header, and its column. */
  row: number | null;
  column: string | null;
  /** What is wrong: names the line and the message. */
  problem: string;
  /** What to do. */
  hint: string | null;
}

/** How many examples there are of each form. */
export interface ExampleCounts {
  chat: number;
  completion: number;
  preference: number;
  /** Plain texts; absent if there are none. */
  text?: number;
  /** Prompts and completions with a label; absent if there are none. */
  labelled?: number;
  /** Conversations with a teacher's log-probabilities; absent if there are none. */
  distilled?: number;
}

export interface JudgedFile {
  lines: number;
  examples: ExampleCounts;
  /** How many there are, and the first of them. */
  problemCount: number;
  problems: FileProblem[];
  warnings: string[];
  /** Of a tar of a PEFT adapter, which has no examples. */
  adapter?: UploadedAdapter;
}

/** The judgement of a file that cannot be read at all. */
export const unreadableFile = (problem: string, hint: string): JudgedFile => ({
  lines: 0,
  examples: { chat: 0, completion: 0, preference: 0 },
  problemCount: 1,
  problems: [{ line: null, message: null, field: null, row: null, column: null, problem, hint }],
  warnings: [],
});

/** Errors are about the file, whichever of a job's files it will be. */
const PARAM: ExampleFile = 'training_file';

/** @param bytes a file of JSON Lines, in any chunks: memory does not grow with it */
export const judgeFile = (bytes: AsyncIterable<Uint8Array>): Promise<JudgedFile> =>
  judgeAll(splitLines(bytes, { code: `invalid_${PARAM}`, param: PARAM }));

/** @param split the lines of a file, or what stands for them */
export async function judgeAll(split: AsyncIterable<Line | BadLine>): Promise<JudgedFile> {
  const examples: ExampleCounts = { chat: 0, completion: 0, preference: 0 };
  const problems: FileProblem[] = [];
  const template = anyTemplate();
  const keys = new ExampleKeys(template.keys);
  let [lines, problemCount] = [0, 0];
  let family: ExampleFamily | null = null;
  const add = (refusal: Refusal, line: number | null) => {
    problemCount += 1;
    if (problems.length < PROBLEMS_KEPT) problems.push(problemOf(refusal, line));
  };
  for await (const judged of judgeLines(split, (line, number) => parsed(line, number, keys))) {
    lines = judged.lineNumber;
    if ('refusal' in judged) {
      add(judged.refusal, lines);
      continue;
    }
    const { kind } = judged.example;
    const form = kind === 'continuation' ? 'completion' : kind;
    examples[form] = (examples[form] ?? 0) + 1;
    const its = familyOf(judged.example);
    family ??= its;
    if (its !== family) add(otherFamily(lines, its, family), lines);
  }
  if (lines === 0) add(emptyFile(PARAM), null);
  return { lines, examples, problemCount, problems, warnings: template.warnings() };
}

function parsed(line: string, lineNumber: number, keys: ExampleKeys): AnyExample {
  const { value, at } = parseLine(line, { lineNumber, param: PARAM, keys });
  return parseAny(value, at);
}

const otherFamily = (line: number, its: ExampleFamily, family: ExampleFamily): Refusal =>
  new ExampleRefusal(PARAM, `line ${line} is ${namedFamily(its).one}, but the first example of the file is ${namedFamily(family).one}`, {
    line,
    hint: 'A method learns from one of the two: put the others into a file of their own.',
  });

function problemOf(refusal: Refusal, line: number | null): FileProblem {
  const { message = null, field = null } = refusal instanceof ExampleRefusal ? refusal.place : {};
  const hint = refusal.hint === null ? null : cut(refusal.hint, MAX_TEXT);
  return { line, message, field: field === null ? null : cut(field), row: null, column: null, problem: cut(refusal.message, MAX_TEXT), hint };
}

/**
 * A chat template may read any key of a message, so that such a key is no problem before the model is known: it is named, and the job decides. Only what
 * is probably a misspelt key is one at once.
 */
function anyTemplate() {
  const seen = new Set<string>();
  const readsOfMessage = (key: string): boolean => {
    if (nearestName(key, USED.message) !== null) return false;
    if (!UNUSED.message.has(key) && !isDescriptive(key) && seen.size <= KEYS_NAMED) seen.add(cut(key));
    return true;
  };
  return {
    keys: { mentions: readsOfMessage, readsOfMessage, readsVariable: () => true },
    warnings(): string[] {
      if (seen.size === 0) return [];
      const named = [...seen].slice(0, KEYS_NAMED).map((key) => JSON.stringify(key));
      const more = seen.size > KEYS_NAMED ? ' and others' : '';
      return [
        `Messages have keys that only the chat templates of some models read: ${named.join(', ')}${more}. A job on another model refuses them.`,
      ];
    },
  };
}
