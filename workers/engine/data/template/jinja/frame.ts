/** What exists while a template runs: its variables, what it printed, and how much work it did. */
import { TemplateError, TemplateTooSlow } from './error.ts';
import { MAX_CALL_DEPTH, MAX_OUTPUT, MAX_STEPS, TimeLimit } from './limits.ts';
import type { Mutable } from './objects.ts';
import type { Value } from './values.ts';

/** Told when a loop of the template itself, and not of a macro or another loop, begins a round. */
export interface LoopWatcher {
  round(point: LoopPoint): void;
}

/** Where such a loop is. With the variables and what was printed, it is enough to continue from there. */
export interface LoopPoint {
  frame: Frame;
  items: Value;
  /** The round's place among the items, from 0. */
  position: number;
  /** Runs the loop from this round on, and what follows it. */
  resume(output: Output): void;
}

/** One rendering. */
export class Run {
  /** Statements, loop rounds and macro calls so far. */
  steps = 0;
  /** What `{% generation %}` marked: as transformers, from the text printed so far, for as long as the block's text is. */
  readonly marked: { start: number; text: string }[] = [];
  #depth = 0;

  constructor(
    readonly context: ReadonlyMap<string, Value>,
    /** What the template prints itself, and not into a macro or a set block. */
    public output: Output,
    /** Objects that the template made and may change. */
    readonly mutables: Mutable[],
    /** Notices the rounds of the loop over the messages; null if nobody asks. */
    readonly watcher: LoopWatcher | null = null,
    readonly timeLimit = new TimeLimit(),
  ) {}

  /** @throws TemplateError when the rendering takes too long */
  step(): void {
    this.steps += 1;
    if (this.steps > MAX_STEPS) throw new TemplateTooSlow(`it takes more than ${MAX_STEPS} steps`);
    this.timeLimit.check();
  }

  /** @throws TemplateError when macros call each other too deeply */
  called<T>(work: () => T): T {
    if (this.#depth >= MAX_CALL_DEPTH) throw new TemplateError(`its macros call each other more than ${MAX_CALL_DEPTH} deep`);
    this.#depth += 1;
    try {
      return work();
    } finally {
      this.#depth -= 1;
    }
  }
}

/** The variables of one scope while it runs. Undefined (of JavaScript) is a variable that has no value yet. */
export class Frame {
  slots: (Value | undefined)[];
  constructor(
    readonly run: Run,
    readonly parent: Frame | null,
    size: number,
  ) {
    this.slots = new Array<Value | undefined>(size).fill(undefined);
  }

  /** The scope so many levels further out. */
  out(hops: number): Frame {
    let frame: Frame = this;
    for (let hop = 0; hop < hops; hop++) frame = frame.parent!;
    return frame;
  }
}

/** Text that is being printed. */
export class Output {
  readonly #parts: string[] = [];
  /** UTF-16 units so far. */
  length = 0;

  /** @throws TemplateError past the limit */
  write(text: string): void {
    if (text === '') return;
    this.#parts.push(text);
    this.length += text.length;
    if (this.length > MAX_OUTPUT) throw new TemplateError(`it prints more than ${MAX_OUTPUT} characters`);
  }

  get text(): string {
    return this.#parts.join('');
  }
}
