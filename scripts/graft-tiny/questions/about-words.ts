import { ANIMALS } from '../world/animals.ts';
import { FOODS } from '../world/foods.ts';
import { THINGS } from '../world/things.ts';
import { DAYS, MIXTURES, MONTHS, OPPOSITES } from '../world/words.ts';
import { capitalise, type Exchange, phrase, type QuestionKind } from './exchange.ts';

/** Words short enough to spell. */
const SPELLED = [...ANIMALS, ...FOODS, ...THINGS].map(({ name }) => name).filter((name) => name.length <= 5 && !name.includes(' '));

type Make = QuestionKind['make'];

const opposite: Make = (random) => {
  const pair = random.pick(OPPOSITES);
  const [word, other] = random.next() < 0.5 ? pair : [pair[1], pair[0]];
  const asks = [
    'what is the opposite of _?',
    'which word is the opposite of _?',
    'tell me the opposite of _.',
    'give me the opposite of the word _.',
  ];
  return phrase(random, 'opposite', word, asks, `The opposite of ${word} is ${other}.`);
};

const spell: Make = (random) => {
  const word = random.pick(SPELLED);
  return phrase(
    random,
    'spell',
    word,
    ['how do you spell _?', 'spell the word _.', 'please spell _.'],
    `${capitalise(word)} is spelled ${[...word].join('-')}.`,
  );
};

const firstLetter: Make = (random) => {
  const { name } = random.pick([...ANIMALS, ...FOODS, ...THINGS]);
  const asks = ['which letter does _ start with?', 'what is the first letter of _?', 'what letter comes first in the word _?'];
  return phrase(random, 'first-letter', name, asks, `${capitalise(name)} starts with the letter ${name.slice(0, 1).toUpperCase()}.`);
};

const neighbour: Make = (random) => {
  const [unit, names] = random.pick([
    ['day', DAYS],
    ['month', MONTHS],
  ] as const);
  const index = random.integer(0, names.length - 1);
  const after = random.next() < 0.5;
  const name = names[index]!;
  const other = names[(index + (after ? 1 : names.length - 1)) % names.length]!;
  const word = after ? 'after' : 'before';
  return phrase(
    random,
    `${unit}-${word}`,
    name,
    [`which ${unit} comes ${word} _?`, `what ${unit} is ${word} _?`, `tell me the ${unit} ${word} _.`],
    `${other} comes ${word} ${name}.`,
  );
};

const mixture: Make = (random) => {
  const [one, other, made] = random.pick(MIXTURES);
  const [first, second] = random.next() < 0.5 ? [one, other] : [other, one];
  const asks = ['what do you get when you mix _?', 'which colour do _ make?', 'what colour comes from _?', 'mix _. What do you get?'];
  return phrase(random, 'mix', `${first} and ${second}`, asks, `${capitalise(first)} and ${second} make ${made}.`);
};

const plus: Make = (random) => {
  const [a, b] = [random.integer(0, 10), random.integer(0, 10)];
  return phrase(
    random,
    'plus',
    `${a} plus ${b}`,
    ['what is _?', 'how much is _?', 'add _.', 'tell me what _ is.', `${a} + ${b} = ?`],
    `${a} plus ${b} is ${a + b}.`,
  );
};

const minus: Make = (random) => {
  const a = random.integer(0, 10);
  const b = random.integer(0, a);
  return phrase(
    random,
    'minus',
    `${a} minus ${b}`,
    ['what is _?', 'how much is _?', 'tell me what _ is.', `${a} - ${b} = ?`],
    `${a} minus ${b} is ${a - b}.`,
  );
};

const count: Make = (random) => {
  const from = random.integer(1, 10);
  const to = from + random.integer(2, 6);
  const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i).join(', ');
  return phrase(random, 'count', `from ${from} to ${to}`, ['count _.', 'please count _.', 'can you count _?', 'list the numbers _.'], `${numbers}.`);
};

const nextNumber: Make = (random) => {
  const number = random.integer(1, 20);
  const after = random.next() < 0.5;
  const word = after ? 'after' : 'before';
  return phrase(
    random,
    `number-${word}`,
    `${number}`,
    [`what comes ${word} _?`, `which number comes ${word} _?`, `what number is ${word} _?`],
    `${after ? number + 1 : number - 1} comes ${word} ${number}.`,
  );
};

const bigger: Make = (random): Exchange => {
  const [a, b] = random.sample(
    Array.from({ length: 20 }, (_, i) => i + 1),
    2,
  ) as [number, number];
  return phrase(
    random,
    'number-bigger',
    `${a} or ${b}`,
    ['which number is bigger, _?', 'what is bigger: _?', 'which is more, _?'],
    `${Math.max(a, b)} is bigger than ${Math.min(a, b)}.`,
  );
};

export const WORD_QUESTIONS: readonly QuestionKind[] = [
  { weight: 5, make: opposite },
  { weight: 2, make: spell },
  { weight: 2, make: firstLetter },
  { weight: 3, make: neighbour },
  { weight: 1, make: mixture },
  { weight: 5, make: plus },
  { weight: 3, make: minus },
  { weight: 2, make: count },
  { weight: 2, make: nextNumber },
  { weight: 2, make: bigger },
];
