/** Makes hostile inputs out of valid ones. */
import type { Random } from '../random.ts';

/** Three of them in one another are deeper than MAX_JSON_DEPTH, and not too deep for structuredClone. Deeper text comes from repeating brackets. */
const MAX_NESTING = 400;
/** Larger inputs would measure the memory's speed; what grows with the square shows before. */
const MAX_LENGTH = 64 * 1024;

const HOSTILE_TEXTS = [
  ...[
    '',
    ' ',
    '\0',
    '\ud800',
    '\ufeff',
    '\u2028',
    '🙂',
    'e\u0301',
    '\\',
    '"',
    "'",
    '/',
    '..',
    '../../etc/passwd',
    'C:\\',
    '%s%n',
    '%00',
    '\r\n',
    '\n\n',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'then',
    'null',
    'NaN',
    'Infinity',
    '-0',
    '1e999',
    '0x10',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
  ],
  ...[
    '{{',
    '}}',
    '{%',
    '%}',
    '{#',
    '#}',
    '{{ messages }}',
    '{% for m in messages %}',
    '{% endfor %}',
    "{{ 'x' * 99999999 }}",
    '{{ range(99999) | list }}',
  ],
  ...['(a+)+$', '(.*)*', '(?=', '\\p{L}+', '[^', '{1,99999}', '$(id)', '<script>', 'bytes=0-', '--', 'a@b', 'org/name'],
];

const HOSTILE_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -0, 1, -1, 0.5, 1e8, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, -1e308, 5e-324],
  ...[[], {}, [[]], [null], { '': null }, { __proto__: null }, { length: -1 }, { toString: 1 }],
];

/** @returns a value of its own, which may be mutated further */
export const hostileValue = (random: Random): unknown => structuredClone(chosen(random));

function chosen(random: Random): unknown {
  switch (random.below(8)) {
    case 0:
      return random.pick(HOSTILE_TEXTS);
    case 1:
      return random
        .pick(HOSTILE_TEXTS)
        .repeat(1 + random.below(2_000))
        .slice(0, MAX_LENGTH);
    case 2:
      return nested(1 + random.below(random.below(20) === 0 ? MAX_NESTING : 50), random.next() < 0.5);
    case 3:
      return Array.from({ length: random.below(300) }, () => random.pick(HOSTILE_VALUES));
    case 4:
      return Object.fromEntries(Array.from({ length: random.below(300) }, (_, index) => [`${random.pick(HOSTILE_TEXTS)}${index}`, index]));
    case 5:
      return Math.floor((random.next() - 0.5) * 10 ** random.below(20));
    default:
      return random.pick(HOSTILE_VALUES);
  }
}

function nested(depth: number, isArray: boolean): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = isArray ? [value] : { a: value };
  return value;
}

/** Replaces, removes, adds or moves values anywhere in a copy of a JSON value. */
export function mutateValue(seed: unknown, random: Random): unknown {
  let value = structuredClone(seed);
  for (let change = 1 + random.below(3); change > 0; change--) {
    const places = placesIn(value);
    const place = random.pick(places);
    if (place === null) {
      if (random.below(20) === 0) value = hostileValue(random);
      continue;
    }
    const { holder, key } = place;
    switch (random.below(5)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
        break;
      case 1: {
        const other = random.pick(places);
        if (other !== null) (holder as Holder)[key] = structuredClone(other.holder[other.key]);
        break;
      }
      case 2:
        if (Array.isArray(holder)) holder.push(hostileValue(random));
        else
          Object.defineProperty(holder, random.pick(HOSTILE_TEXTS), {
            value: hostileValue(random),
            enumerable: true,
            configurable: true,
            writable: true,
          });
        break;
      default:
        (holder as Holder)[key] = hostileValue(random);
    }
  }
  return value;
}

type Holder = Record<string, unknown>;

/** Where values are in a JSON value; null for the whole. */
function placesIn(value: unknown): ({ holder: Holder; key: string } | null)[] {
  const places: ({ holder: Holder; key: string } | null)[] = [null];
  const waiting: unknown[] = [value];
  while (waiting.length > 0 && places.length < 2_000) {
    const holder = waiting.pop();
    if (typeof holder !== 'object' || holder === null) continue;
    for (const key of Object.keys(holder)) {
      places.push({ holder: holder as Holder, key });
      waiting.push((holder as Holder)[key]);
    }
  }
  return places;
}

/** Cuts, repeats, swaps and inserts anywhere in a text. */
export function mutateText(seed: string, random: Random, others: readonly string[] = []): string {
  let text = seed;
  for (let change = 1 + random.below(4); change > 0; change--) {
    const at = random.below(text.length + 1);
    const to = at + random.below(Math.min(40, text.length - at) + 1);
    switch (random.below(7)) {
      case 0:
        text = text.slice(0, at) + text.slice(to);
        break;
      case 1:
        text = text.slice(0, at) + random.pick(HOSTILE_TEXTS) + text.slice(at);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(at, to).repeat(2 + random.below(random.below(50) === 0 ? 2_000 : 4)) + text.slice(to);
        break;
      case 3:
        text = text.slice(0, at) + String.fromCharCode(random.below(random.below(2) === 0 ? 128 : 65_536)) + text.slice(at + 1);
        break;
      case 4:
        text = text.slice(0, at);
        break;
      case 5:
        if (others.length > 0) {
          const other = random.pick(others);
          text = text.slice(0, at) + other.slice(random.below(other.length + 1));
        }
        break;
      default:
        text = text.slice(0, at) + random.pick(HOSTILE_TEXTS) + text.slice(to);
    }
    if (text.length > MAX_LENGTH) text = text.slice(0, MAX_LENGTH);
  }
  return text;
}

/** JSON text: mostly of mutated values, else mutated as text. */
export const mutateJson = (seed: unknown, random: Random): string => {
  const text = JSON.stringify(random.below(4) === 0 ? seed : mutateValue(seed, random)) ?? '';
  return (random.below(3) === 0 ? mutateText(text, random) : text).slice(0, MAX_LENGTH);
};

export const randomText = (random: Random): string => Array.from({ length: random.below(20) }, () => random.pick(HOSTILE_TEXTS)).join('');

export function randomBytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(400) }, () => random.below(256)));
}
