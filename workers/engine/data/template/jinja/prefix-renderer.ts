/**
 * Renders the beginnings of a conversation, each of which would take a rendering of its own. A template usually goes over the messages in one loop. While
 * it renders the whole conversation, the variables are kept as they are at the beginning of each round, unless it has looked at later messages by then.
 * A beginning is what was printed up to its last round, then that round and the rest of the template, run with the later messages taken away.
 */
import { Conversation, Messages } from './conversation.ts';
import { type Frame, type LoopPoint, Output, type Run } from './frame.ts';
import { Namespace } from './objects.ts';
import type { Template } from './template.ts';
import { Lazy, type Value } from './values.ts';

/** A text: the first `shared` UTF-16 units of the whole conversation's, and what follows them. */
export interface Beginning {
  shared: number;
  rest: string;
}

/** Where a rendering can be continued. */
interface Snapshot {
  /** Messages before the loop's round. */
  message: number;
  /** A conversation of fewer messages might have been read differently up to here. */
  needed: number;
  point: LoopPoint;
  slots: Frame['slots'];
  restore: (() => void)[];
  /** UTF-16 units that were printed. */
  printed: number;
}

/** Templates have a few namespaces; saving the state of many in every round would take quadratic time. */
const MAX_MUTABLES = 32;

export class PrefixRenderer {
  /** The whole conversation's text. */
  readonly text: string;
  readonly #messages: Messages;
  readonly #run: Run;
  readonly #snapshots: Snapshot[] = [];
  #steps = 0;
  /** Whether the whole conversation is being rendered. */
  #isWhole = true;

  /** @throws TemplateError when the template refuses the whole conversation */
  constructor(
    private readonly template: Template,
    messages: readonly Value[],
    private readonly variables: ReadonlyMap<string, Value>,
    private readonly today: Date,
  ) {
    this.#messages = new Messages(messages);
    const watcher = { round: (point: LoopPoint) => this.#watch(point) };
    this.#run = template.render(new Map([...variables, ['messages', new Conversation(this.#messages)]]), { today, watcher });
    this.#isWhole = false;
    this.text = this.#run.output.text;
  }

  /** Statements, loop rounds and macro calls so far: a measure of the work. */
  get steps(): number {
    return this.#steps + this.#run.steps;
  }

  #watch(point: LoopPoint): void {
    const { items, position, frame } = point;
    const { mutables, output } = frame.run;
    if (!this.#isWhole || !(items instanceof Conversation) || items.messages !== this.#messages) return;
    if (mutables.length > MAX_MUTABLES || holdsGenerator(frame.slots)) return;
    if (mutables.some((object) => object instanceof Namespace && holdsGenerator([...object.values]))) return;
    this.#snapshots.push({
      message: items.offset + position,
      needed: this.#messages.needed,
      point,
      slots: frame.slots.slice(),
      restore: mutables.map((object) => object.save()),
      printed: output.length,
    });
  }

  /**
   * The text of the first messages alone.
   * @param count how many, fewer than all
   * @throws TemplateError when the template refuses them
   */
  beginning(count: number): Beginning {
    const snapshot = this.#latest(count);
    if (snapshot === undefined) return { shared: 0, rest: this.#rendered(count) };
    const { frame } = snapshot.point;
    const output = new Output();
    this.#messages.count = count;
    this.#steps += this.#run.steps;
    this.#run.steps = 0;
    this.#run.output = output;
    this.#run.mutables.length = snapshot.restore.length;
    for (const restore of snapshot.restore) restore();
    frame.slots = snapshot.slots.slice();
    snapshot.point.resume(output);
    return { shared: snapshot.printed, rest: output.text };
  }

  /** The last round that such a conversation has, and up to which it would have been read in the same way. */
  #latest(count: number): Snapshot | undefined {
    // Both numbers grow from one to the next within a loop; a second loop over the messages begins after the first has read them all.
    let [from, to] = [0, this.#snapshots.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const { message, needed } = this.#snapshots[middle]!;
      if (message < count && needed <= count) from = middle + 1;
      else to = middle;
    }
    return this.#snapshots[from - 1];
  }

  #rendered(count: number): string {
    const messages = this.#messages.items.slice(0, count);
    const { timeLimit } = this.#run;
    const run = this.template.render(new Map([...this.variables, ['messages', messages]]), { today: this.today, timeLimit });
    this.#steps += run.steps;
    return run.output.text;
  }
}

/** A generator can be gone through only once, so a variable that holds one cannot be put back. */
const holdsGenerator = (values: readonly (Value | undefined)[]): boolean => values.some((value) => value instanceof Lazy);
