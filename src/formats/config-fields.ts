/** Reads the fields of a `config.json`, remembers which were read, and collects everything that is wrong with them. */
import { isRecord } from './record.ts';
import { Refusal } from './refusal.ts';

type Json = Record<string, unknown>;

interface Findings {
  /** Values that cannot be. */
  impossible: string[];
  /** Values that ask for maths which the decoder does not compute. */
  unsupported: string[];
}

export class ConfigFields {
  readonly #json: Json;
  /** Before a field's name in messages: `rope_scaling.` */
  readonly #prefix: string;
  readonly #findings: Findings;
  readonly #read = new Set<string>();

  constructor(json: Json, inherited: { prefix: string; findings: Findings } = { prefix: '', findings: { impossible: [], unsupported: [] } }) {
    this.#json = json;
    this.#prefix = inherited.prefix;
    this.#findings = inherited.findings;
  }

  /** The field's value, undefined also for null, which is how transformers writes what is not set. */
  value(field: string): unknown {
    this.#read.add(field);
    return this.#json[field] ?? undefined;
  }

  /** Whether the field is there, be it null. */
  has(field: string): boolean {
    return Object.hasOwn(this.#json, field);
  }

  /** @returns a positive whole number */
  natural(field: string, fallback?: number): number {
    const value = this.value(field) ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    this.impossible(field, value, 'a positive whole number');
    return 1;
  }

  positive(field: string, fallback?: number): number {
    const value = this.value(field) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    this.impossible(field, value, 'a positive number');
    return 1;
  }

  /** A number that null turns off and that has a default where it is not said at all. */
  positiveOrOff(field: string, fallback: number | null): number | null {
    if (this.value(field) === undefined) return this.has(field) ? null : fallback;
    return this.positive(field);
  }

  flag(field: string, fallback = false): boolean {
    const value = this.value(field) ?? fallback;
    if (typeof value !== 'boolean') this.impossible(field, value, 'true or false');
    return value === true;
  }

  /** One of a table's names. */
  choice<T>(field: string, table: Readonly<Record<string, T>>, fallback: string): T {
    const name = this.value(field) ?? fallback;
    if (typeof name === 'string' && Object.hasOwn(table, name)) return table[name]!;
    this.unsupported(`${this.#prefix}${field} is ${JSON.stringify(name)}, not ${Object.keys(table).join(' or ')}`);
    return table[fallback]!;
  }

  numbers(field: string, length: number): number[] {
    const value = this.value(field);
    if (Array.isArray(value) && value.length === length && value.every((item) => typeof item === 'number' && Number.isFinite(item))) return value;
    this.impossible(field, value, `a list of ${length} numbers`);
    return new Array<number>(length).fill(1);
  }

  tokenIds(field: string): number[] {
    const value = this.value(field) ?? [];
    return (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isSafeInteger(id) && id >= 0);
  }

  /** An object within, null where there is none; what is wrong in it is told with the rest. */
  within(field: string): ConfigFields | null {
    const value = this.value(field);
    if (value === undefined) return null;
    if (!isRecord(value)) this.impossible(field, value, 'an object');
    return isRecord(value) ? new ConfigFields(value, { prefix: `${this.#prefix}${field}.`, findings: this.#findings }) : null;
  }

  impossible(field: string, value: unknown, wanted: string): void {
    this.#findings.impossible.push(`${this.#prefix}${field} is ${JSON.stringify(value) ?? 'missing'}, not ${wanted}`);
  }

  /** For what several fields together make impossible. */
  contradiction(message: string): void {
    this.#findings.impossible.push(message);
  }

  unsupported(message: string): void {
    this.#findings.unsupported.push(message);
  }

  /** Refuses each field that says something and that nobody has read; without a list, every field counts. */
  refuseUnread(candidates: Iterable<string> = Object.keys(this.#json)): void {
    for (const field of candidates) {
      const value = this.#json[field] ?? false;
      if (value !== false && !this.#read.has(field)) this.unsupported(`${this.#prefix}${field} is ${JSON.stringify(value)}`);
    }
  }

  /** @throws Refusal `unsupported_architecture` or `corrupt_model_file` with everything that was found */
  finish(where: string, hint: string): void {
    const { impossible, unsupported } = this.#findings;
    if (unsupported.length > 0) throw new Refusal('unsupported_architecture', `${where}: ${unsupported.join('; ')}`, { param: 'model', hint });
    if (impossible.length > 0) throw new Refusal('corrupt_model_file', `${where}: ${impossible.join('; ')}`, { param: 'model' });
  }
}
