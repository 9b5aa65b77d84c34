/** The list of messages, which notices how far a template has read it: what it printed so far would be the same for a shorter conversation or not. */
import { repr } from './text.ts';
import { type Value, WatchedList } from './values.ts';

/** The messages that all slices of a conversation share. */
export class Messages {
  /** The conversation ends before this one. */
  count: number;
  /** Every conversation that begins with so many of these messages would have been read in the same way so far. */
  needed = 0;
  constructor(readonly items: readonly Value[]) {
    this.count = items.length;
  }
}

export class Conversation extends WatchedList {
  /** @param offset the list begins with this message */
  constructor(
    readonly messages: Messages,
    readonly offset = 0,
  ) {
    super();
  }

  at(index: number): Value | undefined {
    const place = this.offset + index;
    if (place >= this.messages.count) return undefined; // a shorter conversation has none there either
    this.#need(place + 1);
    return this.messages.items[place];
  }

  all(): Value[] {
    this.#need(Number.POSITIVE_INFINITY);
    return this.messages.items.slice(this.offset, this.messages.count);
  }

  #need(count: number): void {
    if (count > this.messages.needed) this.messages.needed = count;
  }

  override get isTrue(): boolean {
    return this.at(0) !== undefined;
  }

  override length(): number {
    return this.all().length;
  }

  override *iterate(): Generator<Value> {
    for (let index = 0; ; index++) {
      const item = this.at(index);
      if (item === undefined) break;
      yield item;
    }
    this.all(); // where it ends depends on all of them
  }

  override slice(start: Value, stop: Value, step: Value): Value | undefined {
    const from = start ?? 0n;
    if (typeof from !== 'bigint' || from < 0n || (step !== null && step !== 1n)) return undefined;
    if (stop === null) return new Conversation(this.messages, this.offset + Number(from));
    if (typeof stop !== 'bigint' || stop < 0n || this.offset + Number(stop) > this.messages.count) return undefined;
    this.#need(this.offset + Number(stop));
    return this.messages.items.slice(this.offset + Number(from), this.offset + Number(stop));
  }

  override repr(): string {
    return repr(this.all());
  }
}
