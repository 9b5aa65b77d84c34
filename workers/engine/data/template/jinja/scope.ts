/** Entering a scope: its variables get the values that they have at first. */
import { Frame } from './frame.ts';
import { Symbols } from './symbols.ts';

/** Makes the frame of a scope inside another one. */
export type Enter = (parent: Frame) => Frame;

/** Sets the variables that a scope takes from outside. @param symbols after all names of the scope have been visited */
export function compileEntry(symbols: Symbols): (frame: Frame) => void {
  const { entries } = symbols;
  return (frame) => {
    for (const { slot, name, load } of entries) {
      if (load.kind === 'context') frame.slots[slot] = frame.run.context.get(name);
      else if (load.kind === 'copy') frame.slots[slot] = frame.parent!.out(load.of.hops).slots[load.of.slot];
    }
  };
}

export function compileEnter(symbols: Symbols): Enter {
  const entry = compileEntry(symbols);
  return (parent) => {
    const frame = new Frame(parent.run, parent, symbols.size);
    entry(frame);
    return frame;
  };
}

/** The symbols of a scope inside another one. @param visit visits the scope's names */
export function innerSymbols(outer: Symbols, visit: (symbols: Symbols) => void): Symbols {
  const symbols = Symbols.under(outer);
  visit(symbols);
  return symbols;
}
