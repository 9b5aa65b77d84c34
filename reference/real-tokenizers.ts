/**
 * `npm run test:tokenizers -- [--write]`: compares tokenizers that people use with those that AutoTokenizer makes of the same directories, on lines that
 * are hard to tokenise. --write puts the table into docs/results.md.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { publishResult, table } from '../bench/results-page.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { pythonEnvironment } from './python/environment.ts';
import { type RealDirectory, realDirectories } from './real-tokenizers/directories.ts';
import { corpusBlocks } from './tokenizer-measures.ts';

const LINES = 3000;
/** A conversation as Zephyr's template writes it, in which tokens follow each other, line ends and spaces. */
const CHATS = ['<|system|>\nBe brief.</s>\n<|user|>\nWhat is up?</s>\n<|assistant|>\nNot much.</s>\n', '<|user|> Hi</s> <|assistant|>Hello</s>'];

interface Answer {
  /** Ids without, and with, special tokens around the text. */
  plain: number[][];
  whole: number[][];
  /** The ids decoded, with and without special tokens. */
  texts: [string, string][];
  special: Record<string, string>;
}

async function engineAnswer(path: string, lines: readonly string[]): Promise<Answer> {
  const tokenizer = await Tokenizer.open(path);
  const encode = async (line: string, addSpecialTokens: boolean) => [...(await tokenizer.encode(line, { addSpecialTokens })).ids];
  const plain = await Promise.all(lines.map((line) => encode(line, false)));
  const whole = await Promise.all(lines.map((line) => encode(line, true)));
  const decode = async (ids: number[]): Promise<[string, string]> => [
    await tokenizer.decode(ids, { specialTokens: true }),
    await tokenizer.decode(ids),
  ];
  return { plain, whole, texts: await Promise.all(plain.map(decode)), special: tokenizer.specialTokens };
}

interface Asked extends RealDirectory {
  /** Where Python writes its answer. */
  answer: string;
}

/** Python works while the engine does. */
function askPython(python: string, request: string): Promise<void> {
  const child = spawn(python, [join(import.meta.dirname, 'real-tokenizers/encode.py'), request], { stdio: ['ignore', 'inherit', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => (status === 0 ? resolve() : reject(new Error(`encode.py ended with status ${status}`))));
  });
}

/** @returns the lines whose ids or texts differ */
function differing(here: Answer, python: Answer, lines: readonly string[]): string[] {
  const parts = ['plain', 'whole', 'texts'] as const;
  return lines.filter((_, index) => parts.some((part) => !isDeepStrictEqual(here[part][index], python[part][index])));
}

async function main(): Promise<number> {
  const python = await pythonEnvironment();
  const scratch = mkdtempSync(join(tmpdir(), 'graft-real-tokenizers-'));
  try {
    const lines = [...CHATS, ...corpusBlocks().flat().slice(0, LINES)];
    const directories = (await realDirectories(python, scratch)).map((each): Asked => ({ ...each, answer: `${each.path}.json` }));
    const request = join(scratch, 'request.json');
    writeFileSync(request, JSON.stringify({ lines, directories }));
    const answered = askPython(python, request);
    const here: Answer[] = [];
    for (const { path } of directories) here.push(await engineAnswer(path, lines));
    await answered;

    let failed = 0;
    const rows = directories.map(({ name, from, answer }, index) => {
      const theirs = JSON.parse(readFileSync(answer, 'utf8')) as Answer & { class: string };
      const found = differing(here[index]!, theirs, lines);
      const sameNames = isDeepStrictEqual(here[index]!.special, theirs.special);
      if (found.length > 0 || !sameNames) failed += 1;
      for (const line of found.slice(0, 3)) console.error(`${name}: ${JSON.stringify(line)} differs`);
      if (!sameNames) console.error(`${name}: special tokens are ${JSON.stringify(here[index]!.special)}, not ${JSON.stringify(theirs.special)}`);
      const chat = theirs.plain[0]!.length;
      return [name, from, `\`${theirs.class}\``, String(chat), `${found.length} of ${lines.length.toLocaleString('en')}`];
    });
    publishResult('tokenizers', table(['directory', 'from', 'class', 'ids of a chat', 'lines that differ'], rows));
    return failed === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
