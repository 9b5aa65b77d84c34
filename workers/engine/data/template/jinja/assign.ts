import { TemplateError } from './error.ts';
import type { Frame } from './frame.ts';
import { Namespace } from './objects.ts';
import type { Symbols } from './symbols.ts';
import type { Target } from './syntax.ts';
import { toList, type Value } from './values.ts';

/** @returns writes a value to a target; throws TemplateError where Python raises ValueError or Jinja TemplateRuntimeError */
export function compileTarget(target: Target, symbols: Symbols): (frame: Frame, value: Value) => void {
  if (target.kind === 'targets') {
    const parts = target.items.map((item) => compileTarget(item, symbols));
    return (frame, value) => {
      const values = toList(value);
      if (values.length !== parts.length) throw new TemplateError(`it unpacks ${values.length} values into ${parts.length} names`);
      parts.forEach((part, index) => {
        part(frame, values[index]!);
      });
    };
  }
  const { hops, slot } = symbols.find(target.name)!;
  if (target.kind === 'name')
    return (frame, value) => {
      frame.out(hops).slots[slot] = value;
    };
  const { name, attribute } = target;
  return (frame, value) => {
    const namespace = frame.out(hops).slots[slot];
    if (!(namespace instanceof Namespace)) throw new TemplateError(`it assigns to ${name}.${attribute}, but ${name} is no namespace`);
    namespace.set(attribute, value);
  };
}
