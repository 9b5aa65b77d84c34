/** Macros and call blocks: functions whose result is what their body prints. */

import type { CompileBlock } from './block.ts';
import { type Compiled, compileExpression } from './compile-expression.ts';
import { TemplateError, TemplateSyntaxError } from './error.ts';
import { type Frame, Output } from './frame.ts';
import { compileEnter, innerSymbols } from './scope.ts';
import { mentions, type Symbols } from './symbols.ts';
import type { Parameter, Statement } from './syntax.ts';
import { Callable, type Keywords, Tuple, Undefined, type Value } from './values.ts';

export class Macro extends Callable {
  override readonly typeName = 'Macro';
  constructor(
    name: string,
    private readonly facts: Readonly<Record<string, Value>>,
    call: (args: readonly Value[], keywords: Keywords) => Value,
  ) {
    super(name, call);
  }
  override attribute(name: string): Value | undefined {
    return Object.hasOwn(this.facts, name) ? this.facts[name] : undefined;
  }
  override repr(): string {
    return this.name === '' ? '<Macro anonymous>' : `<Macro '${this.name}'>`;
  }
}

/** Names that a macro's body may use without declaring them. */
const SPECIAL = ['caller', 'kwargs', 'varargs'] as const;
type Special = (typeof SPECIAL)[number];

interface Shape {
  /** The macro's name; empty for a call block. */
  name: string;
  parameters: readonly Parameter[];
  body: readonly Statement[];
}

/** @returns makes the macro in the frame where it is defined */
export function compileMacro({ name, parameters, body }: Shape, outer: Symbols, compileBlock: CompileBlock): (frame: Frame) => Macro {
  const declared = parameters.map((parameter) => parameter.name);
  if (parameters.some((parameter) => parameter.name === 'caller' && parameter.byDefault === null) && mentions(body, 'caller'))
    throw new TemplateSyntaxError('a macro that declares the parameter caller must give it a default', 1);
  const used = SPECIAL.filter((special) => !declared.includes(special) && mentions(body, special));
  const symbols = innerSymbols(outer, (inner) => {
    inner.visitParameters(parameters);
    for (const special of used) inner.parameter(special);
    inner.visit(body);
  });
  const scope = { symbols, isConditional: false };
  const slotOf = (parameter: string): number => symbols.find(parameter)!.slot;
  const slots = declared.map(slotOf);
  const defaults = parameters.map(({ name, byDefault }): Compiled => {
    const missing = new Undefined(`parameter '${name}' was not provided`);
    return byDefault === null ? () => missing : compileExpression(byDefault, scope);
  });
  const specialSlots = used.map((special) => [special, slotOf(special)] as const);
  const block = compileBlock(body, scope);
  const enter = compileEnter(symbols);
  const facts = {
    name,
    arguments: new Tuple(declared),
    catch_kwargs: used.includes('kwargs'),
    catch_varargs: used.includes('varargs'),
    caller: used.includes('caller') || declared.includes('caller'),
  };
  return (outside) => {
    const call = (args: readonly Value[], keywords: Keywords): Value => {
      outside.run.step();
      const frame = enter(outside);
      const bound = bindMacro({ name, declared, used }, args, keywords);
      bound.values.forEach((value, index) => {
        frame.slots[slots[index]!] = value;
      });
      for (const [special, slot] of specialSlots) frame.slots[slot] = bound[special];
      slots.forEach((slot, index) => {
        if (frame.slots[slot] === undefined) frame.slots[slot] = defaults[index]!(frame);
      });
      const output = new Output();
      outside.run.called(() => block.run(frame, output));
      return output.text;
    };
    return new Macro(name, facts, call);
  };
}

interface Signature {
  name: string;
  declared: readonly string[];
  used: readonly Special[];
}

/** A macro's own rules: what is not given stays undefined, and the rest is `varargs` and `kwargs` if the body uses them. */
function bindMacro({ name, declared, used }: Signature, args: readonly Value[], keywords: Keywords) {
  const rest = new Map(keywords);
  const take = (keyword: string): Value | undefined => {
    const value = rest.get(keyword);
    rest.delete(keyword);
    return value;
  };
  const values = declared.map((parameter, index) => (index < args.length ? args[index] : take(parameter)));
  const caller = used.includes('caller') ? (take('caller') ?? new Undefined('No caller defined')) : null;
  if (rest.size > 0 && !used.includes('kwargs')) throw new TemplateError(`the macro ${name} takes no keyword argument ${[...rest.keys()][0]}`);
  if (args.length > declared.length && !used.includes('varargs'))
    throw new TemplateError(`the macro ${name} takes no more than ${declared.length} arguments`);
  return { values, caller, kwargs: rest as Map<Value, Value>, varargs: new Tuple(args.slice(declared.length)) };
}
