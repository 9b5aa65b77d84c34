/** Questions to the person at the terminal. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { EXIT, Failure, usageFailure } from '../exit-code.ts';

/** @throws Failure where there is nobody to ask, or on Ctrl-C */
export const ask = (question: string): Promise<string> => answerTo(question, process.stderr);

/** The same without showing what is typed. */
export async function askSecretly(question: string): Promise<string> {
  requireTerminal(question);
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const answer = await answerTo(question, nowhere);
  process.stderr.write('\n');
  return answer;
}

/** @returns whether the answer was yes. @throws Failure where there is nobody to ask, or on Ctrl-C */
export const confirm = async (question: string): Promise<boolean> => /^y(es)?$/i.test((await ask(`${question} [y/N] `)).trim());

export const textOfStdin = (): Promise<string> => text(process.stdin);

async function answerTo(question: string, output: NodeJS.WritableStream): Promise<string> {
  requireTerminal(question);
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('SIGINT', () => reject(interrupted()));
      lines.once('close', () => reject(interrupted()));
      lines.question(question).then(resolve, reject);
    });
  } finally {
    lines.close();
  }
}

function requireTerminal(question: string): void {
  if (!process.stdin.isTTY) throw usageFailure(`There is nobody to answer "${question.trim()}"`, 'Give the answer as an option: see --help.');
}

const interrupted = () => new Failure('Interrupted', { exitCode: EXIT.interrupted });
