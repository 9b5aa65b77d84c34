/** Jinja's `loop`, and what a loop goes over. */
import { equals } from './compare.ts';
import { TemplateError } from './error.ts';
import { Callable, GivenAsText, iterate, Lazy, PyObject, Tuple, Undefined, type Value, WatchedList } from './values.ts';

/** Items one after the other, with a look at the next one. */
export interface Source {
  /** @returns undefined at the end */
  next(): Value | undefined;
  peek(): Value | undefined;
  /** Number of all items, also of those that have been taken. */
  length(): number;
}

class ListSource implements Source {
  constructor(
    private readonly items: readonly Value[],
    private position = 0,
  ) {}
  next(): Value | undefined {
    return this.items[this.position++];
  }
  peek(): Value | undefined {
    return this.items[this.position];
  }
  length(): number {
    return this.items.length;
  }
}

class WatchedSource implements Source {
  constructor(
    private readonly list: WatchedList,
    private position: number,
  ) {}
  next(): Value | undefined {
    const item = this.list.at(this.position);
    if (item === undefined) this.list.all(); // where the loop ends depends on all of them
    this.position += 1;
    return item;
  }
  peek(): Value | undefined {
    const item = this.list.at(this.position);
    if (item === undefined) this.list.all();
    return item;
  }
  length(): number {
    return this.list.all().length;
  }
}

/** Goes over a generator only as far as it is asked. */
class IteratorSource implements Source {
  #ahead: Value[] = [];
  #taken = 0;
  constructor(private iterator: Iterator<Value>) {}
  next(): Value | undefined {
    const item = this.peek();
    this.#ahead.shift();
    this.#taken += 1;
    return item;
  }
  peek(): Value | undefined {
    if (this.#ahead.length === 0) {
      const step = this.iterator.next();
      if (step.done !== true) this.#ahead.push(step.value);
    }
    return this.#ahead[0];
  }
  length(): number {
    for (let step = this.iterator.next(); step.done !== true; step = this.iterator.next()) this.#ahead.push(step.value);
    return this.#taken + this.#ahead.length;
  }
}

/** @param position where to begin, for lists @throws TemplateError for what cannot be iterated over */
export function sourceOf(value: Value, position = 0): Source {
  if (value instanceof WatchedList) return new WatchedSource(value, position);
  if (Array.isArray(value)) return new ListSource(value, position);
  if (value instanceof GivenAsText) return sourceOf(value.value);
  if (value instanceof Lazy || (value instanceof PyObject && value.length() === null)) return new IteratorSource(iterate(value));
  const items: Value[] = [];
  const iterator = iterate(value);
  for (let step = iterator.next(); step.done !== true; step = iterator.next()) items.push(step.value);
  return new ListSource(items);
}

export interface LoopState {
  index0: number;
  previous: Value;
  current: Value;
  changed: readonly Value[] | null;
}

/** The variable `loop`. Calling it renders a recursive loop once more. */
export class LoopContext extends Callable {
  override readonly typeName = 'LoopContext';
  state: LoopState = { index0: -1, previous: null, current: null, changed: null };

  /** @param recurse null if the loop is not recursive */
  constructor(
    readonly source: Source,
    private readonly depth0: number,
    recurse: ((items: Value) => Value) | null,
  ) {
    super('loop', ([items]) => {
      if (recurse === null || items === undefined) throw new TemplateError('only a recursive loop can be called');
      return recurse(items);
    });
  }

  /** Moves to the next item, which was taken from the source. */
  advance(item: Value): void {
    const { index0, current, changed } = this.state;
    this.state = { index0: index0 + 1, previous: current, current: item, changed };
  }

  override length(): number {
    return this.source.length();
  }

  override attribute(name: string): Value | undefined {
    const { index0, previous } = this.state;
    switch (name) {
      case 'index0':
        return BigInt(index0);
      case 'index':
        return BigInt(index0 + 1);
      case 'first':
        return index0 === 0;
      case 'last':
        return this.source.peek() === undefined;
      case 'length':
        return BigInt(this.source.length());
      case 'revindex':
        return BigInt(this.source.length() - index0);
      case 'revindex0':
        return BigInt(this.source.length() - index0 - 1);
      case 'previtem':
        return index0 === 0 ? new Undefined('there is no previous item') : previous;
      case 'nextitem': {
        const next = this.source.peek();
        return next === undefined ? new Undefined('there is no next item') : next;
      }
      case 'depth':
        return BigInt(this.depth0 + 1);
      case 'depth0':
        return BigInt(this.depth0);
      case 'cycle':
        return new Callable(name, (args) => this.#cycle(args));
      case 'changed':
        return new Callable(name, (args) => this.#changed(args));
      default:
        return undefined;
    }
  }

  #cycle(args: readonly Value[]): Value {
    if (args.length === 0) throw new TemplateError('loop.cycle() has nothing to cycle through');
    return args[this.state.index0 % args.length]!;
  }

  #changed(args: readonly Value[]): boolean {
    const { changed } = this.state;
    if (changed !== null && equals(new Tuple(changed), new Tuple(args))) return false;
    this.state = { ...this.state, changed: args };
    return true;
  }

  override repr(): string {
    return `<LoopContext ${this.state.index0 + 1}/${this.length()}>`;
  }
}
