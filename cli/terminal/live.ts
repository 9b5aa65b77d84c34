/** The last lines of a terminal, which are drawn again and again below what stays. */
export interface Live {
  /** Replaces the lines. They must be no wider than the terminal, or they could not be counted. */
  draw(lines: readonly string[]): void;
  /** Writes above them what stays. */
  say(text: string): void;
  /** Takes the lines away. */
  clear(): void;
}

export function liveLines(stream: NodeJS.WriteStream): Live {
  let drawn: readonly string[] = [];
  /** Goes to the first of the drawn lines and clears from there on. */
  const back = () => (drawn.length === 0 ? '' : `\u001b[${drawn.length}A\r\u001b[J`);
  const textOf = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
  // Each in one write, so that nothing flickers.
  return {
    draw(lines) {
      stream.write(back() + textOf(lines));
      drawn = lines;
    },
    say(text) {
      stream.write(`${back()}${text}\n${textOf(drawn)}`);
    },
    clear() {
      stream.write(back());
      drawn = [];
    },
  };
}
