/** Runs a command in a terminal, and keeps what the terminal showed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import xterm from '@xterm/headless';

const { Terminal } = xterm;

/** Text of one look. */
export interface Span {
  text: string;
  column: number;
  /** One of the sixteen colours of terminals; null: as the rest. */
  color: number | null;
  isBold: boolean;
  isDim: boolean;
}

/** What the terminal shows from a moment on. */
export interface Screen {
  atMs: number;
  /** Of each row, what is not blank. */
  rows: Span[][];
}

export interface Size {
  columns: number;
  rows: number;
}

interface Recording extends Size {
  /** What is shown as typed. */
  typed: string;
  command: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
}

const TYPED_EVERY_MS = 35;
/** Each wait is shown no longer than this. */
const LONGEST_PAUSE_MS = 900;
/** Changes that follow each other faster are one. */
const FRAME_MS = 120;

/** @returns what was shown, one screen after another @throws Error if the command fails */
export async function record({ columns, rows, typed, command, args, cwd, env }: Recording): Promise<Screen[]> {
  const terminal = new Terminal({ cols: columns, rows, allowProposedApi: true });
  const write = (text: string | Uint8Array) => new Promise<void>((resolve) => terminal.write(text, resolve));
  const screens: Screen[] = [];
  let atMs = 0;
  const show = (afterMs: number) => {
    atMs += Math.min(afterMs, LONGEST_PAUSE_MS);
    const shown = { atMs, rows: shownBy(terminal, { columns, rows }) };
    if (screens.length > 0 && atMs - screens.at(-1)!.atMs < FRAME_MS) screens[screens.length - 1] = { ...shown, atMs: screens.at(-1)!.atMs };
    else screens.push(shown);
  };

  await write('\u001b[32m$\u001b[0m ');
  show(0);
  for (const letter of typed) {
    await write(letter);
    show(TYPED_EVERY_MS);
  }
  await write('\r\n');

  // util-linux's `script` gives the command a terminal of its own.
  const line = [`stty cols ${columns} rows ${rows};`, command, ...args.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`)].join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    cwd,
    env: { ...env, TERM: 'xterm-256color', SHELL: '/bin/sh' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let lastMs = performance.now();
  for await (const piece of child.stdout) {
    await write(piece as Buffer);
    const nowMs = performance.now();
    show(nowMs - lastMs);
    lastMs = nowMs;
  }
  if (child.exitCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new Error(`${typed} ended with ${child.exitCode}:\n${textOf(screens.at(-1)!)}`);
  return screens;
}

const textOf = ({ rows }: Screen): string => rows.map((spans) => spans.map(({ text }) => text).join(' ')).join('\n');

function shownBy(terminal: InstanceType<typeof Terminal>, { columns, rows }: Size): Span[][] {
  const { active: buffer } = terminal.buffer;
  return Array.from({ length: rows }, (_, row) => {
    const line = buffer.getLine(buffer.baseY + row);
    const spans: Span[] = [];
    for (let column = 0; column < columns; column++) {
      const cell = line?.getCell(column);
      const text = cell?.getChars() ?? '';
      if (cell === undefined || text.trim() === '') continue;
      const look = { color: cell.isFgPalette() ? cell.getFgColor() : null, isBold: cell.isBold() !== 0, isDim: cell.isDim() !== 0 };
      const last = spans.at(-1);
      const gap = last === undefined ? 0 : column - last.column - [...last.text].length;
      const isSame = last?.color === look.color && last.isBold === look.isBold && last.isDim === look.isDim;
      // Words of one look are one text.
      if (last !== undefined && isSame && gap <= 2) last.text += ' '.repeat(gap) + text;
      else spans.push({ text, column, ...look });
    }
    return spans;
  });
}
