/** The objects that templates make and Python's types do not cover: ranges, views of dicts, namespaces, cyclers, joiners. */

import { equals } from './compare.ts';
import { TemplateError } from './error.ts';
import { MAX_RANGE } from './limits.ts';
import { at, sliced } from './slicing.ts';
import { repr } from './text.ts';
import { Callable, type Dict, indexOf, PyObject, Tuple, Undefined, type Value } from './values.ts';

export class Range extends PyObject {
  readonly typeName = 'range';
  /** @throws TemplateError for more items than the sandbox allows */
  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    super();
    if (step === 0) throw new TemplateError('it makes a range with a step of zero');
    if (this.length() > MAX_RANGE) throw new TemplateError(`it makes a range of ${this.length()} items; the limit is ${MAX_RANGE}`);
  }
  override get isTrue(): boolean {
    return this.length() > 0;
  }
  override length(): number {
    return Math.max(0, Math.ceil((this.stop - this.start) / this.step));
  }
  items(): bigint[] {
    return Array.from({ length: this.length() }, (_, index) => BigInt(this.start + index * this.step));
  }
  override iterate(): Iterator<Value> {
    return this.items().values();
  }
  override item(key: Value): Value | undefined {
    return typeof key === 'bigint' || typeof key === 'boolean' ? at(this.items(), indexOf(key)) : undefined;
  }
  override slice(start: Value, stop: Value, step: Value): Range {
    const items = sliced(this.items(), start, stop, step);
    const stride = this.step * (step === null ? 1 : indexOf(step));
    return items.length === 0 ? new Range(0, 0, 1) : new Range(Number(items[0]), Number(items.at(-1)) + stride, stride);
  }
  override repr(): string {
    return `range(${this.start}, ${this.stop}${this.step === 1 ? '' : `, ${this.step}`})`;
  }
  override equals(other: Value): boolean {
    return other instanceof Range && equals(this.items(), other.items());
  }
}

/** `dict.items()`, `dict.keys()`, `dict.values()` */
export class View extends PyObject {
  readonly typeName: string;
  constructor(
    readonly dict: Dict,
    readonly kind: 'items' | 'keys' | 'values',
  ) {
    super();
    this.typeName = `dict_${kind}`;
  }
  override get isTrue(): boolean {
    return this.dict.size > 0;
  }
  override length(): number {
    return this.dict.size;
  }
  members(): Value[] {
    return this.kind === 'items' ? [...this.dict].map((pair) => new Tuple(pair)) : [...this.dict[this.kind]()];
  }
  override iterate(): Iterator<Value> {
    return this.members().values();
  }
  override repr(): string {
    return `${this.typeName}(${repr(this.members())})`;
  }
  override equals(other: Value): boolean {
    if (this.kind === 'values' || !(other instanceof View) || other.kind !== this.kind || this.dict.size !== other.dict.size) return this === other;
    return this.members().every((member) => other.members().some((each) => equals(each, member)));
  }
}

/** An object that changes while a template runs. A rendering that is continued from an earlier point puts it back as it was there. */
export interface Mutable {
  /** @returns a function that puts the object back to the state it has now */
  save(): () => void;
}

/** `namespace(…)`, whose attributes a template may set. */
export class Namespace extends PyObject implements Mutable {
  readonly typeName = 'Namespace';
  constructor(private attributes: Map<string, Value>) {
    super();
    for (const name of attributes.keys()) checkName(name);
  }
  override attribute(name: string): Value | undefined {
    return this.attributes.get(name);
  }
  set(name: string, value: Value): void {
    checkName(name);
    this.attributes.set(name, value);
  }
  get values(): Iterable<Value> {
    return this.attributes.values();
  }
  override repr(): string {
    return `<Namespace ${repr(this.attributes as Dict)}>`;
  }
  save(): () => void {
    const saved = new Map(this.attributes);
    return () => {
      this.attributes = new Map(saved);
    };
  }
}

/** As transformers' environment, for which such names are Python's own. */
function checkName(name: string): void {
  if (name.startsWith('_')) throw new TemplateError(`it stores ${name} in a namespace, where names must not begin with an underscore`);
}

/** `cycler(…)`: the next of its values with every `next()`. */
export class Cycler extends PyObject implements Mutable {
  readonly typeName = 'Cycler';
  private position = 0;
  constructor(private readonly items: readonly Value[]) {
    super();
    if (items.length === 0) throw new TemplateError('it makes a cycler of nothing');
  }
  override attribute(name: string): Value | undefined {
    if (name === 'current') return this.items[this.position]!;
    if (name === 'next') return new Callable(name, () => this.next());
    if (name === 'items') return new Tuple(this.items);
    return name === 'pos' ? BigInt(this.position) : name === 'reset' ? new Callable(name, () => this.reset()) : undefined;
  }
  private next(): Value {
    const current = this.items[this.position]!;
    this.position = (this.position + 1) % this.items.length;
    return current;
  }
  private reset(): Value {
    this.position = 0;
    return null;
  }
  save(): () => void {
    const { position } = this;
    return () => {
      this.position = position;
    };
  }
}

/** `joiner(sep)`: nothing at the first call, then the separator. */
export class Joiner extends Callable implements Mutable {
  private used = false;
  constructor(readonly separator: Value) {
    super('joiner', () => this.next());
  }
  private next(): Value {
    if (this.used) return this.separator;
    this.used = true;
    return '';
  }
  save(): () => void {
    const { used } = this;
    return () => {
      this.used = used;
    };
  }
}

/** What the sandbox gives for an attribute that it protects: nothing that can be used. */
export const unsafe = (type: string, name: string): Undefined => new Undefined(`access to attribute '${name}' of '${type}' object is unsafe.`);

/** What `groupby` gives: a tuple whose items have names. */
export class GroupTuple extends Tuple {
  constructor(grouper: Value, list: Value[]) {
    super([grouper, list]);
  }
  override attribute(name: string): Value | undefined {
    return name === 'grouper' ? this.items[0] : name === 'list' ? this.items[1] : undefined;
  }
}
