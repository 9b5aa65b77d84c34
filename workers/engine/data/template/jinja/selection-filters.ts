/** Jinja's filters that apply another filter or a test to each item: map, select, reject, selectattr, rejectattr. */
import { type Environment, type Operation, operation } from './environment.ts';
import { TemplateError } from './error.ts';
import { reader } from './sequence-filters.ts';
import { asText } from './signature.ts';
import { isTrue, iterate, type Keywords, Lazy, type Value } from './values.ts';

const selection = (name: string, { keeps, ofAttribute }: { keeps: boolean; ofAttribute: boolean }): [string, Operation<Value>] => [
  name,
  (value, args, keywords, environment) =>
    new Lazy(
      each(value, function* (items) {
        if (ofAttribute && args.length === 0) throw new TemplateError(`the filter ${name} needs the name of an attribute`);
        const read = ofAttribute ? reader(args[0]!) : (item: Value) => item;
        const test = tester(args.slice(ofAttribute ? 1 : 0), keywords, environment);
        for (let step = items.next(); step.done !== true; step = items.next()) if (test(read(step.value)) === keeps) yield step.value;
      }),
    ),
];

export const SELECTION_FILTERS: [string, Operation<Value>][] = [
  selection('select', { keeps: true, ofAttribute: false }),
  selection('reject', { keeps: false, ofAttribute: false }),
  selection('selectattr', { keeps: true, ofAttribute: true }),
  selection('rejectattr', { keeps: false, ofAttribute: true }),
  [
    'map',
    (value, args, keywords, environment) =>
      new Lazy(
        each(value, function* (items) {
          const change = changer(args, keywords, environment);
          for (let step = items.next(); step.done !== true; step = items.next()) yield change(step.value);
        }),
      ),
  ],
];

/** Nothing is looked at before the first item is asked for, and nothing at all of what is false. */
function* each(value: Value, work: (items: Iterator<Value>) => Generator<Value>): Generator<Value> {
  if (isTrue(value)) yield* work(iterate(value));
}

/** @param args the test's name and its arguments; without them, whether the value is true */
function tester([name, ...args]: readonly Value[], keywords: Keywords, environment: Environment): (value: Value) => boolean {
  if (name === undefined) return isTrue;
  const test = operation('test', environment.tests, asText(name));
  return (value) => test(value, args, keywords, environment);
}

/** @param args the filter's name and its arguments; without them, `attribute` is read */
function changer(args: readonly Value[], keywords: Keywords, environment: Environment): (value: Value) => Value {
  if (args.length === 0 && keywords.has('attribute')) {
    const unknown = [...keywords.keys()].find((keyword) => keyword !== 'attribute' && keyword !== 'default');
    if (unknown !== undefined) throw new TemplateError(`the filter map has no parameter ${unknown}`);
    return reader(keywords.get('attribute')!, keywords.get('default') ?? null);
  }
  const [name, ...rest] = args;
  if (name === undefined) throw new TemplateError('the filter map needs the name of a filter');
  const filter = operation('filter', environment.filters, asText(name));
  return (value) => filter(value, rest, keywords, environment);
}
