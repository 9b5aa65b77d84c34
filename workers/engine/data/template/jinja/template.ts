/** A chat template, ready to render: Jinja 3.1 in transformers' sandbox, written anew so that values are Python's. */
import type { Block } from './block.ts';
import { compileBlock } from './compile-statement.ts';
import { Frame, type LoopWatcher, Output, Run } from './frame.ts';
import { globals } from './globals.ts';
import type { TimeLimit } from './limits.ts';
import type { Mutable } from './objects.ts';
import { compileEntry } from './scope.ts';
import { parseTemplate } from './statement-parser.ts';
import { Symbols } from './symbols.ts';
import type { Value } from './values.ts';

interface RenderSettings {
  today: Date;
  watcher?: LoopWatcher | null;
  timeLimit?: TimeLimit;
}

export class Template {
  readonly #block: Block;
  readonly #symbols: Symbols;
  readonly #enter: (frame: Frame) => void;

  /** @throws TemplateSyntaxError */
  constructor(source: string) {
    const statements = parseTemplate(source);
    this.#symbols = Symbols.under(null);
    this.#symbols.visit(statements);
    this.#enter = compileEntry(this.#symbols);
    this.#block = compileBlock(statements, { symbols: this.#symbols, isConditional: false }, []);
  }

  /**
   * @param variables what the template is given
   * @param options.today for `strftime_now`
   * @param options.timeLimit of several renderings together; default: one of its own
   * @returns the run, whose output is the text
   * @throws TemplateError when the template refuses, or does what Python would not
   */
  render(variables: ReadonlyMap<string, Value>, { today, watcher = null, timeLimit }: RenderSettings): Run {
    const mutables: Mutable[] = [];
    const run = new Run(new Map([...globals(mutables, today), ...variables]), new Output(), mutables, watcher, timeLimit);
    const frame = new Frame(run, null, this.#symbols.size);
    this.#enter(frame);
    this.#block.run(frame, run.output);
    return run;
  }
}
