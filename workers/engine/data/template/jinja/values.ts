/**
 * The values of a template, with Python's types: None is null, bool is boolean, int is bigint, float is number, str is string, list is an array, dict is
 * a Map. Everything else is an object of a class derived from `PyObject`.
 */
import { TemplateError } from './error.ts';

export type Value = null | boolean | bigint | number | string | Value[] | Dict | PyObject;
export type Dict = Map<Value, Value>;
export type Keywords = ReadonlyMap<string, Value>;

/** An object of Python that is none of the types above. What it cannot do, Python cannot do with it either. */
export abstract class PyObject {
  /** The name of its type, as in Python's errors. */
  abstract readonly typeName: string;

  get isTrue(): boolean {
    return true;
  }
  /** `repr(self)` */
  repr(): string {
    throw new TemplateError(`it prints an object of type ${this.typeName}, whose text is a memory address`);
  }
  /** `str(self)` */
  str(): string {
    return this.repr();
  }
  /** `iter(self)`; null if it cannot be iterated over. */
  iterate(): Iterator<Value> | null {
    return null;
  }
  /** `len(self)`; null if it has none. */
  length(): number | null {
    return null;
  }
  /** `getattr(self, name)`; undefined if it has no such attribute. */
  attribute(_name: string): Value | undefined {
    return undefined;
  }
  /** `self[key]`; undefined if there is no such item. */
  item(_key: Value): Value | undefined {
    return undefined;
  }
  /** `self[start:stop:step]`; undefined if it cannot be sliced. */
  slice(_start: Value, _stop: Value, _step: Value): Value | undefined {
    return undefined;
  }
  equals(other: Value): boolean {
    return this === other;
  }
}

/** Jinja's `Undefined`: prints as nothing, is false and empty, and fails at whatever else is done with it. */
export class Undefined extends PyObject {
  readonly typeName = 'Undefined';
  constructor(readonly message: string) {
    super();
  }
  fail(): never {
    throw new TemplateError(this.message);
  }
  override get isTrue(): boolean {
    return false;
  }
  override repr(): string {
    return 'Undefined';
  }
  override str(): string {
    return '';
  }
  override iterate(): Iterator<Value> {
    return [].values();
  }
  override length(): number {
    return 0;
  }
  override attribute(): never {
    return this.fail();
  }
  override item(): never {
    return this.fail();
  }
  override equals(other: Value): boolean {
    return other instanceof Undefined;
  }
}

export class Tuple extends PyObject {
  readonly typeName = 'tuple';
  constructor(readonly items: readonly Value[]) {
    super();
  }
  override get isTrue(): boolean {
    return this.items.length > 0;
  }
  override iterate(): Iterator<Value> {
    return this.items.values();
  }
  override length(): number {
    return this.items.length;
  }
}

/** A text that is escaped for HTML (`| safe`, `| escape`). No template needs its methods, so it has none here. */
export class Markup extends PyObject {
  readonly typeName = 'Markup';
  constructor(readonly text: string) {
    super();
  }
  override get isTrue(): boolean {
    return this.text !== '';
  }
  override str(): string {
    return this.text;
  }
  override length(): number {
    return [...this.text].length;
  }
  override equals(other: Value): boolean {
    return other instanceof Markup ? this.text === other.text : this.text === other;
  }
}

/** A function, a method or a macro. */
export class Callable extends PyObject {
  readonly typeName: string = 'function';
  constructor(
    readonly name: string,
    readonly call: (args: readonly Value[], keywords: Keywords) => Value,
  ) {
    super();
  }
}

/** An iterator: what generators, `map`, `select`, … give. It can be gone through once. */
export class Lazy extends PyObject {
  readonly typeName = 'generator';
  constructor(private readonly source: Iterator<Value>) {
    super();
  }
  override iterate(): Iterator<Value> {
    // A for loop that ends early must not close the generator: Python goes on where it stopped.
    return { next: () => this.source.next() };
  }
}

/**
 * A list or dict that the dataset has as text: arguments of a call as JSON, content in parts. Where a template uses it as a string, it is that text.
 */
export class GivenAsText extends PyObject {
  readonly typeName: string;
  constructor(
    readonly value: Value[] | Dict,
    readonly text: string,
  ) {
    super();
    this.typeName = Array.isArray(value) ? 'list' : 'dict';
  }
  override get isTrue(): boolean {
    return (Array.isArray(this.value) ? this.value.length : this.value.size) > 0;
  }
  override str(): string {
    return this.text;
  }
}

/** A list that notices how much of it was read, see `Conversation`. */
export abstract class WatchedList extends PyObject {
  readonly typeName = 'list';
  /** All items; the reader then depends on the whole list. */
  abstract all(): Value[];
  /** The item at an index from 0; undefined past the end. */
  abstract at(index: number): Value | undefined;
}

/** @returns the items of a list; null if the value is no list */
export function listOf(value: Value): Value[] | null {
  if (Array.isArray(value)) return value;
  if (value instanceof WatchedList) return value.all();
  return value instanceof GivenAsText && Array.isArray(value.value) ? value.value : null;
}

/** @returns the items of a list or tuple; null if the value is neither */
export const itemsOf = (value: Value): readonly Value[] | null => (value instanceof Tuple ? value.items : listOf(value));

/** @returns the dict; null if the value is none */
export function dictOf(value: Value): Dict | null {
  if (value instanceof Map) return value;
  return value instanceof GivenAsText && value.value instanceof Map ? value.value : null;
}

/** @returns the text of a string; null if the value is none */
export function textOf(value: Value): string | null {
  if (typeof value === 'string') return value;
  return value instanceof GivenAsText ? value.text : null;
}

export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (value instanceof PyObject) return value.typeName;
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  return { boolean: 'bool', bigint: 'int', number: 'float', string: 'str' }[typeof value as 'boolean' | 'bigint' | 'number' | 'string'];
}

/** `bool(value)` */
export function isTrue(value: Value): boolean {
  if (value instanceof PyObject) return value.isTrue;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return Boolean(value); // false for None, False, 0, 0.0 and ''
}

/** An int or a bool as a number that JavaScript indexes with. @throws TemplateError if it is neither */
export function indexOf(value: Value): number {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Undefined) return value.fail();
  throw new TemplateError(`it uses a ${typeName(value)} where an integer is needed`);
}

/** `iter(value)` @throws TemplateError for what cannot be iterated over */
export function iterate(value: Value): Iterator<Value> {
  if (Array.isArray(value)) return value.values();
  if (typeof value === 'string') return value[Symbol.iterator]();
  if (value instanceof Map) return value.keys();
  if (value instanceof GivenAsText) return iterate(value.value);
  const iterator = value instanceof PyObject ? value.iterate() : null;
  if (iterator === null) throw new TemplateError(`it iterates over a ${typeName(value)}`);
  return iterator;
}

/** `list(value)` */
export function toList(value: Value): Value[] {
  const items: Value[] = [];
  const iterator = iterate(value);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) items.push(step.value);
  return items;
}
