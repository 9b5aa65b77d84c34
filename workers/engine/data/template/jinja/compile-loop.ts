/** Loops: each round has variables of its own, and `loop` if the body asks for it. */
import { compileTarget } from './assign.ts';
import { type Block, BREAK, type CompileBlock, type CompiledStatement, type Continuation, NORMAL, type Signal } from './block.ts';
import { compileExpression, type Scope } from './compile-expression.ts';
import { type Frame, type LoopPoint, Output } from './frame.ts';
import { LoopContext, type LoopState, sourceOf } from './loop.ts';
import { compileEnter, innerSymbols } from './scope.ts';
import { mentions, type Symbols } from './symbols.ts';
import type { For } from './syntax.ts';
import { names } from './target-names.ts';
import { isTrue, iterate, Lazy, type Value, WatchedList } from './values.ts';

/** Where the loop is: at its beginning, or where it is continued. */
interface Progress {
  position: number;
  state: LoopState | null;
  /** Whether a round has run to its end, after which `else` is left out. */
  isThrough: boolean;
}

/** @param path what follows the loop, if it is the template's own; null otherwise */
export function compileFor(statement: For, scope: Scope, compileBlock: CompileBlock, path: readonly Continuation[] | null): CompiledStatement {
  const iterable = compileExpression(statement.iterable, scope);
  const loop = new Loop(statement, scope.symbols, compileBlock, path);
  return (frame, output) => {
    if (!statement.recursive) return loop.run(frame, output, iterable(frame));
    const inner = new Output();
    loop.run(frame, inner, iterable(frame));
    output.write(inner.text);
    return NORMAL;
  };
}

class Loop {
  readonly #body: Block;
  readonly #otherwise: Block | null;
  readonly #enter: (parent: Frame) => Frame;
  readonly #enterOtherwise: (parent: Frame) => Frame;
  readonly #assign: (frame: Frame, value: Value) => void;
  readonly #filter: ((frame: Frame, items: Value) => Value) | null;
  /** Where the body finds `loop`; null if it does not ask for it. */
  readonly #loopSlot: number | null;
  readonly #isRecursive: boolean;

  constructor(
    statement: For,
    outer: Symbols,
    compileBlock: CompileBlock,
    private readonly path: readonly Continuation[] | null,
  ) {
    const { target, body, otherwise, test } = statement;
    const usesLoop = statement.recursive || mentions(body, 'loop');
    const symbols = innerSymbols(outer, (inner) => {
      if (usesLoop) inner.parameter('loop');
      for (const name of names(target)) inner.parameter(name);
      inner.visit(body);
    });
    this.#isRecursive = statement.recursive;
    this.#loopSlot = usesLoop ? symbols.find('loop')!.slot : null;
    this.#enter = compileEnter(symbols);
    this.#assign = compileTarget(target, symbols);
    this.#body = compileBlock(body, { symbols, isConditional: false });
    const rest = innerSymbols(outer, (inner) => inner.visit(otherwise));
    this.#enterOtherwise = compileEnter(rest);
    this.#otherwise = otherwise.length === 0 ? null : compileBlock(otherwise, { symbols: rest, isConditional: false });
    this.#filter = test === null ? null : compileTest(statement, outer);
  }

  run(frame: Frame, output: Output, items: Value, depth = 0): Signal {
    return this.#rounds(frame, output, items, { depth, progress: { position: 0, state: null, isThrough: false } });
  }

  #rounds(frame: Frame, output: Output, items: Value, { depth, progress }: { depth: number; progress: Progress }): Signal {
    const { run } = frame;
    const watcher = this.path !== null && this.#filter === null && !this.#isRecursive && items instanceof WatchedList ? run.watcher : null;
    const source = sourceOf(this.#filter === null ? items : this.#filter(frame, items), progress.position);
    const loop = this.#loopSlot === null ? null : new LoopContext(source, depth, this.#recursion(frame, depth));
    if (loop !== null && progress.state !== null) loop.state = progress.state;
    let { position, isThrough } = progress;
    for (;;) {
      watcher?.round(this.#point(frame, items, { position, isThrough, state: loop?.state ?? null }));
      const item = source.next();
      if (item === undefined) break;
      position += 1;
      run.step();
      const signal = this.#round(frame, output, item, loop);
      if (signal === BREAK) break;
      isThrough ||= signal === NORMAL;
    }
    return isThrough || this.#otherwise === null ? NORMAL : this.#otherwise.run(this.#enterOtherwise(frame), output);
  }

  #round(outer: Frame, output: Output, item: Value, loop: LoopContext | null): Signal {
    const frame = this.#enter(outer);
    if (loop !== null) {
      loop.advance(item);
      frame.slots[this.#loopSlot!] = loop;
    }
    this.#assign(frame, item);
    return this.#body.run(frame, output);
  }

  #recursion(frame: Frame, depth: number): ((items: Value) => Value) | null {
    if (!this.#isRecursive) return null;
    return (items) => {
      const output = new Output();
      frame.run.called(() => this.run(frame, output, items, depth + 1));
      return output.text;
    };
  }

  #point(frame: Frame, items: Value, progress: Progress): LoopPoint {
    return {
      frame,
      items,
      position: progress.position,
      resume: (output) => {
        this.#rounds(frame, output, items, { depth: 0, progress });
        for (const { block, next } of this.path!) block.run(frame, output, next);
      },
    };
  }
}

/** The items for which the loop's `if` holds, found one at a time. */
function compileTest({ target, test }: For, outer: Symbols): (frame: Frame, items: Value) => Value {
  const symbols = innerSymbols(outer, (inner) => {
    for (const name of names(target)) inner.parameter(name);
    inner.visitExpression(test!);
  });
  const enter = compileEnter(symbols);
  const assign = compileTarget(target, symbols);
  const holds = compileExpression(test!, { symbols, isConditional: false });
  return (outside, items) => {
    function* chosen(): Generator<Value> {
      const frame = enter(outside);
      const iterator = iterate(items);
      for (let step = iterator.next(); step.done !== true; step = iterator.next()) {
        outside.run.step();
        assign(frame, step.value);
        if (isTrue(holds(frame))) yield step.value;
      }
    }
    return new Lazy(chosen());
  };
}
