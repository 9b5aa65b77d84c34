/** The functions that every template can call. */
import { fromKeys } from './attributes.ts';
import { dictSet } from './dict.ts';
import { TemplateError } from './error.ts';
import { Cycler, Joiner, type Mutable, Namespace, Range } from './objects.ts';
import { asText, bind, callable } from './signature.ts';
import { formatDate } from './strftime.ts';
import { str } from './text.ts';
import { Callable, type Dict, dictOf, indexOf, type Keywords, toList, typeName, type Value } from './values.ts';

/** @param made objects that change are added to it as they are made */
export function globals(made: Mutable[], today: Date): ReadonlyMap<string, Value> {
  const keep = <T extends Mutable>(object: T): T => {
    made.push(object);
    return object;
  };
  return new Map<string, Value>(
    [
      callable('raise_exception', [['message']], (message) => {
        throw new TemplateError(str(message!));
      }),
      callable('strftime_now', [['format']], (format) => formatDate(today, asText(format!))),
      callable('range', [['start'], ['stop', null], ['step', 1n]], range),
      new DictType(),
      new Callable('namespace', (args, keywords) => keep(new Namespace(dictFrom(args, keywords) as Map<string, Value>))),
      new Callable('cycler', (args) => keep(new Cycler(args))),
      callable('joiner', [['sep', ', ']], (separator) => keep(new Joiner(separator!))),
      new Callable('lipsum', () => {
        throw new TemplateError('it uses lipsum, whose text is random');
      }),
    ].map((each) => [each.name, each]),
  );
}

function range(first?: Value, second?: Value, step?: Value): Value {
  const [start, stop] = second === null ? [0, indexOf(first!)] : [indexOf(first!), indexOf(second!)];
  return new Range(start, stop, indexOf(step!));
}

/** `dict(…)` */
class DictType extends Callable {
  constructor() {
    super('dict', dictFrom);
  }
  override attribute(name: string): Value | undefined {
    if (name !== 'fromkeys') return undefined;
    return new Callable(name, (args, keywords) => {
      const [keys, value] = bind(name, [['keys'], ['value', null]], args, keywords);
      return fromKeys(keys!, value!);
    });
  }
}

/** From a dict or pairs, and keywords. */
function dictFrom(args: readonly Value[], keywords: Keywords): Dict {
  if (args.length > 1) throw new TemplateError('dict() takes one argument at most');
  const dict: Dict = new Map();
  const [given] = args;
  if (given !== undefined) {
    const source = dictOf(given);
    for (const pair of source === null ? toList(given) : [...source].map(([key, value]) => [key, value])) {
      const [key, value, ...more] = toList(pair);
      if (key === undefined || value === undefined || more.length > 0)
        throw new TemplateError(`dict() takes pairs, and got a ${typeName(pair)} of another length`);
      dictSet(dict, key, value);
    }
  }
  for (const [name, value] of keywords) dict.set(name, value);
  return dict;
}
