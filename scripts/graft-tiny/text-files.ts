/** Writes the text to files: the datasets for the engine, and plain text for the tokenizer. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VOCABULARY_SIZE } from './architecture.ts';
import { type Conversation, conversations } from './conversations.ts';

export interface TextFiles {
  training: string;
  validation: string;
  /** Plain text for the tokenizer: roles and messages, each on a line of its own. */
  plain: string;
}

export function writeTextFiles(dir: string, { seed, training, validation }: { seed: number; training: number; validation: number }): TextFiles {
  mkdirSync(dir, { recursive: true });
  const files = { training: join(dir, 'training.jsonl'), validation: join(dir, 'validation.jsonl'), plain: join(dir, 'text.txt') };
  const train = [...conversations({ seed, count: training, split: 'training' })];
  writeFileSync(files.training, toJsonLines(train));
  writeFileSync(files.validation, toJsonLines([...conversations({ seed, count: validation, split: 'validation' })]));
  // Roles are words of the chat template, so they are in the tokenizer's text as well.
  writeFileSync(files.plain, train.flatMap(({ messages }) => messages.map(({ role, content }) => `${role}\n${content}\n`)).join(''));
  return files;
}

const toJsonLines = (lines: readonly Conversation[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

/** Hugging Face's Node package cannot set the vocabulary size of a trainer, so the Python package trains the tokenizer. */
export function trainTokenizer(plainText: string, outputDir: string, python: string): void {
  const program = fileURLToPath(new URL('make_tokenizer.py', import.meta.url));
  const { status, error } = spawnSync(python, [program, plainText, outputDir, String(VOCABULARY_SIZE)], { stdio: 'inherit' });
  if (error !== undefined || status !== 0)
    throw new Error(
      `${python} could not make the tokenizer. Point GRAFT_PYTHON at a Python that has tokenizers 0.23.3 (pip install tokenizers==0.23.3).`,
    );
}
