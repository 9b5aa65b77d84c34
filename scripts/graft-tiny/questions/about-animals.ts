import type { SeededRandom } from '../seeded-random.ts';
import { ANIMALS, type Animal, SIZES } from '../world/animals.ts';
import { capitalise, type Exchange, phrase, type QuestionKind, withArticle } from './exchange.ts';

/** One fact about an animal: questions that name the animal, questions that follow on from one that did, and the answer. */
interface Fact {
  kind: string;
  ask: readonly string[];
  askAgain: readonly string[];
  answer(animal: Animal, subject: string): string;
}

const FACTS: readonly Fact[] = [
  {
    kind: 'animal-colour',
    ask: [
      'what colour is _?',
      'which colour does _ have?',
      'tell me the colour of _.',
      'what color is _?',
      'what is the colour of _?',
      'is _ red or some other colour?',
    ],
    askAgain: ['what colour is it?', 'and its colour?'],
    answer: ({ colour }, subject) => `${subject} is ${colour}.`,
  },
  {
    kind: 'animal-home',
    ask: ['where does _ live?', 'what is the home of _?', 'where can I find _?', 'where is the home of _?', 'tell me where _ lives.'],
    askAgain: ['where does it live?', 'and where is its home?'],
    answer: ({ home }, subject) => `${subject} lives ${home}.`,
  },
  {
    kind: 'animal-food',
    ask: ['what does _ eat?', 'what food does _ like?', 'what can I feed _?', 'what is the food of _?', 'tell me what _ eats.'],
    askAgain: ['what does it eat?', 'and what food does it like?'],
    answer: ({ food }, subject) => `${subject} eats ${food}.`,
  },
  {
    kind: 'animal-sound',
    ask: ['what does _ say?', 'what sound does _ make?', 'which sound comes from _?', 'how does _ sound?', 'tell me the sound of _.'],
    askAgain: ['what sound does it make?', 'and what does it say?'],
    answer: ({ sound }, subject) => `${subject} says ${sound}.`,
  },
  {
    kind: 'animal-legs',
    ask: ['how many legs does _ have?', 'how many legs are on _?', 'count the legs of _.', 'tell me how many legs _ has.'],
    askAgain: ['how many legs does it have?', 'and how many legs?'],
    answer: ({ legs }, subject) => `${subject} has ${legs} legs.`,
  },
  {
    kind: 'animal-moves',
    ask: ['how does _ move?', 'in which way does _ move?', 'how does _ get around?', 'tell me how _ moves.'],
    askAgain: ['how does it move?', 'and how does it get around?'],
    answer: ({ moves }, subject) => `${subject} ${moves}.`,
  },
  {
    kind: 'animal-size',
    ask: ['how big is _?', 'what size is _?', 'what is the size of _?', 'tell me the size of _.', 'is _ big or small?'],
    askAgain: ['how big is it?', 'and its size?'],
    answer: ({ size }, subject) => `${subject} is ${size === 'medium' ? 'of medium size' : size}.`,
  },
  {
    kind: 'animal-baby',
    ask: [
      'what is the baby of _ called?',
      'what do we call the baby of _?',
      'what is the name for the young of _?',
      'which word means the baby of _?',
    ],
    askAgain: ['what is its baby called?', 'and its baby?'],
    answer: ({ baby }, subject) => `The baby of ${subject.toLowerCase()} is called ${withArticle(baby)}.`,
  },
];

function askFact(random: SeededRandom, animal: Animal, fact: Fact): Exchange {
  const subject = withArticle(animal.name);
  return {
    ...phrase(random, fact.kind, subject, fact.ask, fact.answer(animal, capitalise(subject))),
    followUp: (next) => askAgain(next, animal, fact),
  };
}

/** Asks for another fact about the animal that was just mentioned, and calls it "it". */
function askAgain(random: SeededRandom, animal: Animal, previous: Fact | null): Exchange {
  const fact = random.pick(FACTS.filter((other) => other !== previous));
  const index = random.integer(0, fact.askAgain.length - 1);
  return {
    key: `${fact.kind}-again|${animal.name}|${index}`,
    ask: capitalise(fact.askAgain[index]!),
    answer: fact.answer(animal, 'It').replace('The baby of it', 'Its baby'),
    followUp: (next) => askAgain(next, animal, fact),
  };
}

/** "A cow is a large brown animal. It lives on a farm and eats grass. It says moo." */
function describe(animal: Animal): string {
  const size = animal.size === 'medium' ? 'medium-sized' : animal.size;
  return `${capitalise(withArticle(animal.name))} is ${withArticle(`${size} ${animal.colour} animal`)}. It lives ${animal.home} and eats ${animal.food}. It says ${animal.sound}.`;
}

const DESCRIBE = [
  'tell me about _.',
  'what is _?',
  'describe _.',
  'what do you know about _?',
  'can you tell me something about _?',
  'explain what _ is.',
];

function compare(random: SeededRandom): Exchange {
  const [one, other] = random.sample(ANIMALS, 2) as [Animal, Animal];
  const difference = SIZES.indexOf(one.size) - SIZES.indexOf(other.size);
  if (difference === 0) return compare(random);
  const small = random.next() < 0.5;
  const word = small ? 'smaller' : 'bigger';
  const [winner, loser] = difference > 0 !== small ? [one, other] : [other, one];
  const [a, b] = [withArticle(one.name), withArticle(other.name)];
  const asks = [`Which is ${word}, ${a} or ${b}?`, `What is ${word}: ${a} or ${b}?`, `Is ${a} or ${b} ${word}?`];
  const index = random.integer(0, asks.length - 1);
  return {
    key: `animal-${word}|${one.name}-${other.name}|${index}`,
    ask: asks[index]!,
    answer: `${capitalise(withArticle(winner.name))} is ${word} than ${withArticle(loser.name)}.`,
  };
}

const ABILITIES: Readonly<Record<string, string>> = {
  flies: 'fly',
  swims: 'swim',
  runs: 'run',
  walks: 'walk',
  hops: 'hop',
  climbs: 'climb',
  crawls: 'crawl',
  jumps: 'jump',
};

function ability(random: SeededRandom): Exchange {
  const animal = random.pick(ANIMALS);
  const can = ABILITIES[animal.moves]!;
  // Half the questions are about what it does. The others avoid abilities that it may also have: a dog can crawl.
  const asked = random.next() < 0.5 ? can : random.pick(can === 'fly' ? ['crawl', 'hop'] : ['fly']);
  const subject = withArticle(animal.name);
  const answer = asked === can ? `Yes, ${subject} can ${can}.` : `No, ${subject} cannot ${asked}.`;
  return phrase(random, `animal-can-${asked}`, subject, [`can _ ${asked}?`, `is _ able to ${asked}?`, `do you think _ can ${asked}?`], answer);
}

/** Animals that share a trait. The key includes the answer, because there are many right ones. */
function list(random: SeededRandom): Exchange {
  const trait = random.pick([
    { words: 'that can fly', holds: ({ moves }: Animal) => moves === 'flies' },
    { words: 'that can swim', holds: ({ moves }: Animal) => moves === 'swims' },
    { words: 'that live on a farm', holds: ({ home }: Animal) => home === 'on a farm' || home === 'in a field' || home === 'in a stable' },
    { words: 'that live in the sea', holds: ({ home }: Animal) => home === 'in the sea' },
    { words: 'that live in the forest', holds: ({ home }: Animal) => home === 'in the forest' },
    { words: 'that live in the jungle', holds: ({ home }: Animal) => home === 'in the jungle' },
    { words: '', holds: () => true },
  ]);
  const chosen = random.sample(ANIMALS.filter(trait.holds), 3).map(({ name }) => withArticle(name));
  const subject = `three animals ${trait.words}`.trim();
  const answer = `${capitalise(chosen[0]!)}, ${chosen[1]} and ${chosen[2]}.`;
  const exchange = phrase(random, 'animal-list', subject, ['name _.', 'list _.', 'can you name _?', 'tell me _.'], answer);
  return { ...exchange, key: `${exchange.key}|${answer}` };
}

export const ANIMAL_QUESTIONS: readonly QuestionKind[] = [
  { weight: 24, make: (random) => askFact(random, random.pick(ANIMALS), random.pick(FACTS)) },
  {
    weight: 8,
    make: (random) => {
      const animal = random.pick(ANIMALS);
      return {
        ...phrase(random, 'animal-about', withArticle(animal.name), DESCRIBE, describe(animal)),
        followUp: (next) => askAgain(next, animal, null),
      };
    },
  },
  { weight: 5, make: compare },
  { weight: 4, make: ability },
  { weight: 3, make: list },
];
