/** Breaks a text into lines of at most `width` characters, at spaces where possible. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replace(/\s+/g, ' ').trim().split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
    while (line.length > width) {
      lines.push(line.slice(0, width));
      line = line.slice(width);
    }
  }
  return [...lines, line];
}

export interface Comparison {
  prompt: string;
  base: string;
  tuned: string;
}

/** Each prompt, with the two answers in columns below it. */
export function sideBySide(comparisons: readonly Comparison[], width = 46): string {
  const row = (left: string, right: string) => `  ${left.padEnd(width)} │ ${right}`.trimEnd();
  const rule = `  ${'─'.repeat(width)}─┼─${'─'.repeat(width)}`;
  const blocks = comparisons.flatMap(({ prompt, base, tuned }) => {
    const [left, right] = [wrap(base, width), wrap(tuned, width)];
    const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, i) => row(left[i] ?? '', right[i] ?? ''));
    return [`  > ${prompt}`, ...rows, rule];
  });
  return [row('BASE MODEL', 'FINE-TUNED MODEL'), rule, ...blocks].join('\n');
}
