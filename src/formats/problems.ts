import { Refusal } from './refusal.ts';

/** How many problems one error names: enough to see the pattern, few enough to read. */
export const MAX_PROBLEMS = 10;

/** Collects the problems of a file up to a limit, so that a user can fix them in one go. */
export class Problems {
  readonly #errors: Refusal[] = [];
  constructor(readonly param: string) {}

  get count(): number {
    return this.#errors.length;
  }

  /** @throws Refusal with all problems once the limit is reached */
  add(error: Refusal): void {
    this.#errors.push(error);
    if (this.#errors.length >= MAX_PROBLEMS) this.throwIfAny();
  }

  /** Adds a problem without ever throwing; those beyond the limit are only counted, elsewhere. */
  note(error: Refusal): void {
    if (this.#errors.length < MAX_PROBLEMS) this.#errors.push(error);
  }

  throwIfAny(): void {
    const { all } = this;
    if (all !== null) throw all;
  }

  /** All problems as one error, each said once with the lines that have it; null if there are none. */
  get all(): Refusal | null {
    const [first, ...more] = this.#errors;
    if (first === undefined || more.length === 0) return first ?? null;
    const messages = saidOnce(this.#errors.map(({ message }) => message)).join('; ');
    const intro = this.count >= MAX_PROBLEMS ? `the first ${this.count} problems` : `${this.count} problems`;
    return new Refusal(first.code, `${intro}: ${messages}`, first);
  }
}

const LINE = /^line (\d+)\b/;

/** @param messages in the order of the lines. @returns each problem once, with the lines that repeat it: `line 2 has … (the same on lines 3 and 5)` */
function saidOnce(messages: string[]): string[] {
  const repeats = new Map<string, { first: string; lines: string[] }>();
  for (const message of messages) {
    const line = LINE.exec(message)?.[1];
    const problem = line === undefined ? message : message.replace(LINE, '');
    const known = repeats.get(problem);
    if (known === undefined) repeats.set(problem, { first: message, lines: [] });
    else if (line !== undefined) known.lines.push(line);
  }
  return [...repeats.values()].map(({ first, lines }) => (lines.length === 0 ? first : `${first} (the same on ${listed(lines)})`));
}

function listed(lines: string[]): string {
  if (lines.length === 1) return `line ${lines[0]}`;
  return `lines ${lines.slice(0, -1).join(', ')} and ${lines.at(-1)}`;
}
