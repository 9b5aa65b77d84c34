/** What a command says. With `--json`, results are JSON on stdout and nothing else is; notes and progress are for people. */
import { type Live, liveLines } from './terminal/live.ts';
import { type Paint, painterFor, widthOf } from './terminal/text.ts';

export interface Output {
  isJson: boolean;
  /** Whether a person looks at stdout. */
  isTerminal: boolean;
  /** Of the terminal in which notes and live lines are drawn. */
  columns: number;
  /** For results. */
  paint: Paint;
  /** For notes and live lines. */
  tint: Paint;
  /** The command's result: the value as JSON, or the text. */
  result(value: unknown, text: string): void;
  /** One of many results, each a line: JSON Lines, or the text. */
  item(value: unknown, text: string): void;
  /** What only people want to know; on stderr, so that stdout holds the result alone. */
  note(text: string): void;
  /** Lines on stderr that are drawn again; null where nobody would see them. */
  live(): Live | null;
}

export function openOutput({ isJson }: { isJson: boolean }): Output {
  const { stdout, stderr } = process;
  return {
    isJson,
    isTerminal: stdout.isTTY,
    columns: widthOf(stderr),
    paint: painterFor(stdout),
    tint: painterFor(stderr),
    result(value, text) {
      stdout.write(isJson ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`);
    },
    item(value, text) {
      stdout.write(isJson ? `${JSON.stringify(value)}\n` : `${text}\n`);
    },
    note(text) {
      if (!isJson) stderr.write(`${text}\n`);
    },
    live: () => (isJson || !stderr.isTTY ? null : liveLines(stderr)),
  };
}
