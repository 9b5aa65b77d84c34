/** A sequence of statements, compiled. */

import type { Scope } from './compile-expression.ts';
import type { Frame, Output } from './frame.ts';
import type { Statement } from './syntax.ts';

/** How a statement ends: normally, or leaving the loop's round. */
export const NORMAL = 0;
export const BREAK = 1;
export const CONTINUE = 2;
export type Signal = typeof NORMAL | typeof BREAK | typeof CONTINUE;

export type CompiledStatement = (frame: Frame, output: Output) => Signal;

/** What follows a statement in its block, and then in the blocks around it. */
export interface Continuation {
  block: Block;
  next: number;
}

export class Block {
  readonly statements: CompiledStatement[] = [];

  /** @param from the first statement to run */
  run(frame: Frame, output: Output, from = 0): Signal {
    const { statements } = this;
    for (let index = from; index < statements.length; index++) {
      frame.run.step();
      const signal = statements[index]!(frame, output);
      if (signal !== NORMAL) return signal;
    }
    return NORMAL;
  }
}

/** @param path what follows, if the block is the template's own or an `if` of it; null inside loops, macros and other scopes */
export type CompileBlock = (statements: readonly Statement[], scope: Scope, path?: readonly Continuation[] | null) => Block;
