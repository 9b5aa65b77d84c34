import { ANIMALS } from '../world/animals.ts';
import { FOODS } from '../world/foods.ts';
import { JOBS, NAMES } from '../world/people-and-places.ts';
import { GENERAL } from '../world/words.ts';
import { capitalise, type Exchange, phrase, type QuestionKind, withArticle } from './exchange.ts';

type Make = QuestionKind['make'];

/** For requests with many right answers: the key includes the answer, so that no held-out text occurs in training. */
const openEnded = (exchange: Exchange): Exchange => ({ ...exchange, key: `${exchange.key}|${exchange.answer}` });

const sentence: Make = (random) => {
  const animal = random.pick(ANIMALS);
  const plain = /^[aeiou]|and/.test(animal.colour) ? animal.colour : random.pick([animal.colour, 'happy', 'little', 'old']);
  const answer = random.pick([
    `The ${plain} ${animal.name} eats ${animal.food}.`,
    `The ${plain} ${animal.name} lives ${animal.home}.`,
    `I saw ${withArticle(`${plain} ${animal.name}`)} today.`,
    `The ${plain} ${animal.name} ${animal.moves} all day.`,
  ]);
  const asks = ['write one sentence about _.', 'write a sentence about _.', 'give me a sentence with _.', 'make a sentence about _.'];
  return openEnded(phrase(random, 'sentence', withArticle(animal.name), asks, answer));
};

const story: Make = (random) => {
  const [hero, friend] = random.sample(ANIMALS, 2) as [(typeof ANIMALS)[number], (typeof ANIMALS)[number]];
  const name = random.pick(NAMES);
  const food = random.pick(FOODS);
  const end = random.pick(['They became good friends.', 'They were happy all day.', 'Then they went home and slept.', 'It was a good day.']);
  const answer =
    `Once there was ${withArticle(hero.name)} named ${name}. ${name} lived ${hero.home}. One day ${name} met ${withArticle(friend.name)}. ` +
    `They ate ${food.mass ? food.name : withArticle(food.name)} together. ${end}`;
  const asks = ['tell me a story about _.', 'tell me a short story about _.', 'write a story about _.', 'can you tell a story with _?'];
  return openEnded(phrase(random, 'story', withArticle(hero.name), asks, answer));
};

/** The name is mentioned once and asked for later, so that the model has to look back. */
const meet: Make = (random) => {
  const name = random.pick(NAMES);
  const asks = ['my name is _.', 'I am _.', 'hello, I am _.', 'hi! My name is _.', 'you can call me _.'];
  const again: Make = (next) =>
    phrase(next, 'meet-again', name, ['what is my name?', 'who am I?', 'do you remember my name?', 'tell me my name.'], `Your name is ${name}.`);
  return { ...phrase(random, 'meet', name, asks, `Nice to meet you, ${name}! How can I help you?`), followUp: again };
};

const like: Make = (random) => {
  const food = random.pick(FOODS);
  const name = food.mass ? food.name : withArticle(food.name);
  return phrase(
    random,
    'like',
    name,
    ['I like _.', 'I want _.', 'I would love _.'],
    `${capitalise(name)} is a good choice. It tastes ${food.taste}.`,
  );
};

const repeat: Make = (random) => {
  const word = random.pick([...ANIMALS, ...FOODS, ...JOBS]).name;
  return phrase(random, 'repeat', word, ['say the word _.', 'please say _.', 'repeat after me: _.'], `${capitalise(word)}.`);
};

const general: Make = (random) => {
  const index = random.integer(0, GENERAL.length - 1);
  const [asks, answer] = GENERAL[index]!;
  return phrase(random, 'general', `${index}`, asks, answer);
};

export const REQUESTS: readonly QuestionKind[] = [
  { weight: 5, make: sentence },
  { weight: 4, make: story },
  { weight: 3, make: meet },
  { weight: 2, make: like },
  { weight: 2, make: repeat },
  { weight: 5, make: general },
];
