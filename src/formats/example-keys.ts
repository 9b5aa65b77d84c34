/**
 * Which keys an example may have. Each key is used, or refused with what to write instead, or counted, so that one warning a file names it: nothing is
 * ignored in silence.
 */
import type { ExamplePlace } from './example-refusal.ts';
import { INSTEAD, isDescriptive, UNUSED, USED } from './known-keys.ts';
import { nearestName } from './nearest-name.ts';
import { quantity } from './quantity.ts';
import type { Refusal } from './refusal.ts';

/** What a key belongs to. */
export type KeyOwner = keyof typeof USED;

/** Where a key was found, and how to refuse it. */
export interface KeyPlace {
  line: number;
  /** `line 3, message 2` */
  name: string;
  fail(problem: string, hint?: string, where?: Omit<ExamplePlace, 'line'>): Refusal;
}

/** Which keys a chat template reads. */
export interface TemplateKeys {
  /** Whether it reads a key of this name, of a message or of something else. */
  mentions(key: string): boolean;
  /** Whether it certainly reads it of a message. */
  readsOfMessage(key: string): boolean;
  /** Whether it reads a variable of this name. */
  readsVariable(name: string): boolean;
}

interface Count {
  lines: number;
  firstLine: number;
  lastLine: number;
}

/** How the warning about each kind of unused key begins. */
const HEADS = {
  example: (file: string) => `The ${file} has keys that training does not use`,
  message: (file: string) => `Messages of the ${file} have keys that the model's chat template does not read`,
  part: (file: string) => `Text parts of the ${file} have keys that training does not use`,
  variable: (file: string) => `The ${file} gives the model's chat template variables that it does not read`,
  other: (file: string) => `Messages of the ${file} that are not the assistant's have keys that count only there`,
} as const;

/** How many keys one warning names. */
const KEYS_NAMED = 10;

export class ExampleKeys {
  readonly #unused: { [kind in keyof typeof HEADS]: Map<string, Count> } = {
    example: new Map(),
    message: new Map(),
    part: new Map(),
    variable: new Map(),
    other: new Map(),
  };
  readonly #template: TemplateKeys;

  /** @param template what the model's chat template reads is used, whatever it is called */
  constructor(template: TemplateKeys = { mentions: () => false, readsOfMessage: () => false, readsVariable: () => true }) {
    this.#template = template;
  }

  /**
   * @param entries keys with their values; null and empty values say nothing, so such a key may be there
   * @throws Refusal for a key that is unknown, or known to need another form
   */
  check(owner: KeyOwner, entries: Iterable<readonly [string, unknown]>, place: KeyPlace): void {
    for (const [key, value] of entries) {
      if (USED[owner].has(key) || value === null || value === undefined) continue;
      const isMessage = owner === 'message';
      if (isMessage && this.#template.readsOfMessage(key)) continue;
      const instead = insteadOf(owner, key);
      if (instead !== undefined) throw place.fail(`${place.name} has ${shown(key)}, which is not supported here`, instead, { field: key });
      if (!UNUSED[owner].has(key) && !isDescriptive(key)) {
        // A template may read it in a way that its source does not show; a slip of the keyboard is more probable.
        if (isMessage && this.#template.mentions(key) && nearestName(key, USED.message) === null) continue;
        throw place.fail(`${place.name} has the unknown key ${shown(key)}`, suggestion(owner, key), { field: key });
      }
      if (!isEmpty(value)) this.count(owner, key, place.line);
    }
  }

  /** What to write instead of an example with these keys, none of which makes it one; null if there is nothing better to say. */
  instead(keys: string[]): string | null {
    for (const key of keys) {
      const instead = insteadOf('example', key);
      if (instead !== undefined) return instead;
      const nearest = nearestName(key, USED.example);
      if (nearest !== null) return didYouMean(nearest);
    }
    return null;
  }

  /** Counts a key that changes nothing. @param kind what it belongs to; `other`: a message that the assistant did not write */
  count(kind: keyof typeof HEADS, key: string, line: number): void {
    const count = this.#unused[kind].get(key);
    if (count === undefined) this.#unused[kind].set(key, { lines: 1, firstLine: line, lastLine: line });
    else if (count.lastLine !== line) {
      count.lines += 1;
      count.lastLine = line;
    }
  }

  /** Counts those of the variables that the chat template does not read. */
  checkVariables(names: Iterable<string>, line: number): void {
    for (const name of names) if (!this.#template.readsVariable(name)) this.count('variable', name, line);
  }

  /** @returns a sentence for each kind of key that changed nothing. @param file `training file` */
  warnings(file: string): string[] {
    const kinds = Object.keys(HEADS) as (keyof typeof HEADS)[];
    return kinds.filter((kind) => this.#unused[kind].size > 0).map((kind) => sentence(HEADS[kind](file), this.#unused[kind]));
  }
}

/** A key may be called `toString`, which every object has. */
const insteadOf = (owner: KeyOwner, key: string): string | undefined => (Object.hasOwn(INSTEAD[owner], key) ? INSTEAD[owner][key] : undefined);

const shown = (key: string): string => JSON.stringify(key);

const didYouMean = (key: string): string => `Did you mean ${shown(key)}?`;

function suggestion(owner: KeyOwner, key: string): string {
  const known = [...USED[owner], ...Object.keys(INSTEAD[owner]), ...UNUSED[owner]];
  const nearest = nearestName(key, known);
  if (nearest !== null) return didYouMean(nearest);
  const used = [...USED[owner]].map(shown).join(', ');
  if (owner === 'part') return `Used are ${used}.`;
  return owner === 'example'
    ? `Used are ${used}; put what only describes the line into "metadata".`
    : `Used are ${used}, and what the chat template reads.`;
}

const isEmpty = (value: unknown): boolean =>
  value === '' || (Array.isArray(value) && value.length === 0) || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);

function sentence(what: string, unused: Map<string, Count>): string {
  const named = [...unused]
    .slice(0, KEYS_NAMED)
    .map(([key, { lines, firstLine }]) => `${shown(key)} (${quantity(lines, 'line')}, first on line ${firstLine})`);
  const more = unused.size > KEYS_NAMED ? `, and ${unused.size - KEYS_NAMED} more` : '';
  return `${what}: ${named.join(', ')}${more}.`;
}
