/** Reads the fields of a `config.json`, remembers which were read, and collects everything that is wrong with them. */

import { LARGEST } from './largest-sizes.ts';
import { isRecord } from './record.ts';
import { Refusal } from './refusal.ts';
import { cut, shown } from './shown.ts';

type Json = Record<string, unknown>;

/** Of fields that nothing is built from, such as the period of a pattern. */
const MAX_NATURAL = 2 ** 31 - 1;
/** Findings of one kind that a message names, and of ignored fields that a model's warnings list. */
const MAX_FINDINGS = 20;

interface Findings {
  /** Missing or invalid values. */
  invalid: string[];
  /** Values that require maths which the decoder does not compute. */
  unsupported: string[];
  /** Fields that transformers ignores in this family, and their values. */
  ignored: string[];
}

/** Of a list that stands for a wrong one until all findings are reported: longer than any head. */
const LONGEST_PLACEHOLDER = 4_096;

export class ConfigFields {
  readonly #json: Json;
  /** Put before field names in messages, e.g. `rope_scaling.` */
  readonly #prefix: string;
  readonly #findings: Findings;
  readonly #read = new Set<string>();

  constructor(
    json: Json,
    inherited: { prefix: string; findings: Findings } = { prefix: '', findings: { invalid: [], unsupported: [], ignored: [] } },
  ) {
    this.#json = json;
    this.#prefix = inherited.prefix;
    this.#findings = inherited.findings;
  }

  /** The field's value; undefined also for null, which transformers writes for fields that are not set. */
  value(field: string): unknown {
    this.#read.add(field);
    return this.#json[field] ?? undefined;
  }

  get isEmpty(): boolean {
    return Object.keys(this.#json).length === 0;
  }

  /** Whether the field is present, even if null. */
  has(field: string): boolean {
    return Object.hasOwn(this.#json, field);
  }

  /** @returns a positive whole number, no larger than the field may be: descriptions are built from it */
  natural(field: string, fallback?: number): number {
    const value = this.value(field) ?? fallback;
    const largest = LARGEST[field] ?? MAX_NATURAL;
    if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= largest) return value as number;
    this.invalid(field, value, `a positive whole number up to ${largest}`);
    return 1;
  }

  positive(field: string, fallback?: number): number {
    const value = this.value(field) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    this.invalid(field, value, 'a positive number');
    return 1;
  }

  /** A positive number, or null if the file turns it off with null; an absent field has the fallback. */
  positiveOrOff(field: string, fallback: number | null): number | null {
    if (this.value(field) === undefined) return this.has(field) ? null : fallback;
    return this.positive(field);
  }

  flag(field: string, fallback = false): boolean {
    const value = this.value(field) ?? fallback;
    if (typeof value !== 'boolean') this.invalid(field, value, 'true or false');
    return value === true;
  }

  /** The entry of a table that the field names. */
  choice<T>(field: string, table: Readonly<Record<string, T>>, fallback: string): T {
    const name = this.value(field) ?? fallback;
    if (typeof name === 'string' && Object.hasOwn(table, name)) return table[name]!;
    this.unsupported(`${this.#prefix}${field} is ${shown(name)}, not ${Object.keys(table).join(' or ')}`);
    return table[fallback]!;
  }

  /** @param options.more whether the list may be longer */
  numbers(field: string, length: number, { more = false } = {}): number[] {
    const value = this.value(field);
    const fits = Array.isArray(value) && (value.length === length || (more && value.length > length));
    if (fits && value.every((item) => typeof item === 'number' && Number.isFinite(item))) return value;
    this.invalid(field, value, `a list of ${length} numbers`);
    return Array.from({ length: Math.min(length, LONGEST_PLACEHOLDER) }, () => 1); // other fields at fault make it fractional or endless
  }

  /** Reads a field that has no effect in transformers. Unless its value says so itself, the user is told. */
  ignore(field: string, neutral?: unknown): void {
    const value = this.value(field);
    const found = cut(`${this.#prefix}${field} ${shown(value)}`);
    if (!isUnset(value) && value !== neutral && !this.ignored.includes(found) && this.ignored.length < MAX_FINDINGS) this.ignored.push(found);
  }

  /** What `ignore` found. */
  get ignored(): string[] {
    return this.#findings.ignored;
  }

  tokenIds(field: string): number[] {
    const value = this.value(field) ?? [];
    return (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id) && id >= 0);
  }

  /** A nested object, or null if absent; its problems are reported with the rest. */
  nested(field: string): ConfigFields | null {
    const value = this.value(field);
    if (value === undefined) return null;
    if (!isRecord(value)) this.invalid(field, value, 'an object');
    return isRecord(value) ? new ConfigFields(value, { prefix: `${this.#prefix}${field}.`, findings: this.#findings }) : null;
  }

  /** The fields of an object that is not in the file as it is. @param prefix put before their names in messages */
  derived(prefix: string, json: Json): ConfigFields {
    return new ConfigFields(json, { prefix, findings: this.#findings });
  }

  invalid(field: string, value: unknown, expected: string): void {
    this.#findings.invalid.push(`${this.#prefix}${field} is ${shown(value)}, not ${expected}`);
  }

  /** For fields that are invalid only in combination. */
  contradiction(message: string): void {
    this.#findings.invalid.push(message);
  }

  unsupported(message: string): void {
    this.#findings.unsupported.push(message);
  }

  /** Refuses each candidate that is set but has not been read; by default, every field is a candidate. */
  refuseUnread(candidates: Iterable<string> = Object.keys(this.#json)): void {
    for (const field of candidates) {
      const value = this.#json[field];
      if (!isUnset(value) && !this.#read.has(field)) this.unsupported(`${this.#prefix}${cut(field)} is ${shown(value)}`);
    }
  }

  /** @throws Refusal `unsupported_architecture` or `corrupt_model_file` with everything that was found */
  finish(where: string, hint: string): void {
    const { invalid, unsupported } = this.#findings;
    if (unsupported.length > 0) throw new Refusal('unsupported_architecture', `${where}: ${unsupported.join('; ')}`, { param: 'model', hint });
    if (invalid.length > 0) throw new Refusal('corrupt_model_file', `${where}: ${invalid.join('; ')}`, { param: 'model' });
  }
}

/** null, false, {} and [] turn a field off. */
const isUnset = (value: unknown): boolean =>
  value === undefined || value === null || value === false || (typeof value === 'object' && Object.keys(value).length === 0);
