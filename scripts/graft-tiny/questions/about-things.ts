import { FOODS } from '../world/foods.ts';
import { COUNTRIES, JOBS } from '../world/people-and-places.ts';
import { THINGS } from '../world/things.ts';
import { capitalise, phrase, type QuestionKind, withArticle } from './exchange.ts';

type Row = (typeof FOODS)[number];
const foodName = (food: Row) => (food.mass ? food.name : withArticle(food.name));

const foodFacts: readonly [string, readonly string[], (food: Row, subject: string) => string][] = [
  [
    'food-colour',
    ['what colour is _?', 'which colour does _ have?', 'tell me the colour of _.', 'what color is _?'],
    (food, s) => `${s} is ${food.colour}.`,
  ],
  [
    'food-taste',
    ['how does _ taste?', 'what does _ taste like?', 'what is the taste of _?', 'tell me how _ tastes.'],
    (food, s) => `${s} tastes ${food.taste}.`,
  ],
  ['food-kind', ['what kind of food is _?', 'what type of food is _?', 'what sort of thing is _?'], (food, s) => `${s} is ${food.kind}.`],
  [
    'food-origin',
    ['where does _ come from?', 'where do we get _ from?', 'tell me where _ comes from.', 'how do we get _?'],
    (food, s) => `${s} ${food.origin}.`,
  ],
  [
    'food-about',
    ['tell me about _.', 'what is _?', 'describe _.', 'what do you know about _?'],
    (food, s) => `${s} is ${food.kind}. It is ${food.colour} and tastes ${food.taste}. It ${food.origin}.`,
  ],
];

type Item = (typeof THINGS)[number];
const thingFacts: readonly [string, readonly string[], (thing: Item, subject: string) => string][] = [
  [
    'thing-colour',
    ['what colour is _?', 'which colour does _ have?', 'tell me the colour of _.', 'what color is _?'],
    (thing, s) => `${s} is ${thing.colour}.`,
  ],
  [
    'thing-material',
    ['what is _ made of?', 'which material is _ made of?', 'tell me what _ is made of.'],
    (thing, s) => `${s} is made of ${thing.material}.`,
  ],
  [
    'thing-place',
    ['where is _?', 'where can I find _?', 'where do you find _?', 'tell me where to look for _.'],
    (thing, s) => `You can find ${s.toLowerCase()} ${thing.place}.`,
  ],
  [
    'thing-use',
    ['what is _ for?', 'what can I do with _?', 'why do people need _?', 'how do we use _?'],
    (thing, s) => `You can use ${s.toLowerCase()} to ${thing.use}.`,
  ],
  [
    'thing-about',
    ['tell me about _.', 'what is _?', 'describe _.', 'what do you know about _?'],
    (thing, s) => `${s} is a thing made of ${thing.material}. You can find it ${thing.place}. You can use it to ${thing.use}.`,
  ],
];

type Job = (typeof JOBS)[number];
const jobFacts: readonly [string, readonly string[], (job: Job, subject: string) => string][] = [
  ['job-does', ['what does _ do?', 'what is the work of _?', 'what is the job of _?', 'tell me what _ does.'], (job, s) => `${s} ${job.does}.`],
  [
    'job-place',
    ['where does _ work?', 'where can I meet _?', 'where is _ at work?', 'tell me where _ works.'],
    (job, s) => `${s} works ${job.place}.`,
  ],
  ['job-says', ['what does _ say?', 'what would _ say?', 'tell me what _ says.', 'speak like _.'], (job, s) => `${s} says: ${job.says}`],
  [
    'job-about',
    ['tell me about _.', 'who is _?', 'describe _.', 'what do you know about _?'],
    (job, s) => `${s} ${job.does}. You can meet ${s.toLowerCase()} ${job.place}.`,
  ],
];

type Country = (typeof COUNTRIES)[number];
const countryFacts: readonly [string, readonly string[], (country: Country) => string][] = [
  [
    'country-capital',
    ['what is the capital of _?', 'which city is the capital of _?', 'tell me the capital of _.', 'name the capital of _.'],
    (c) => `The capital of ${c.name} is ${c.capital}.`,
  ],
  [
    'country-language',
    ['which language do people speak in _?', 'what language is spoken in _?', 'how do people talk in _?'],
    (c) => `People in ${c.name} speak ${c.language}.`,
  ],
  ['country-continent', ['where is _?', 'on which continent is _?', 'in which part of the world is _?'], (c) => `${c.name} is in ${c.continent}.`],
  [
    'country-about',
    ['tell me about _.', 'what do you know about _?', 'describe _.'],
    (c) => `${c.name} is a country in ${c.continent}. Its capital is ${c.capital}. People there speak ${c.language}.`,
  ],
];

const capitalOf = (random: Parameters<QuestionKind['make']>[0]) => {
  const country = random.pick(COUNTRIES);
  const asks = ['which country has the capital _?', 'in which country is _?', '_ is the capital of which country?'];
  return phrase(random, 'country-of-capital', country.capital, asks, `${country.capital} is the capital of ${country.name}.`);
};

const sayWho = (random: Parameters<QuestionKind['make']>[0]) => {
  const job = random.pick(JOBS);
  return phrase(random, 'job-who', job.does, ['who _?', 'tell me who _.', 'which person _?'], `${capitalise(withArticle(job.name))} ${job.does}.`);
};

export const THING_QUESTIONS: readonly QuestionKind[] = [
  {
    weight: 13,
    make: (random) => {
      const [food, [kind, asks, answer]] = [random.pick(FOODS), random.pick(foodFacts)];
      return phrase(random, kind, foodName(food), asks, answer(food, capitalise(foodName(food))));
    },
  },
  {
    weight: 13,
    make: (random) => {
      const [thing, [kind, asks, answer]] = [random.pick(THINGS), random.pick(thingFacts)];
      return phrase(random, kind, withArticle(thing.name), asks, answer(thing, capitalise(withArticle(thing.name))));
    },
  },
  {
    weight: 8,
    make: (random) => {
      const [job, [kind, asks, answer]] = [random.pick(JOBS), random.pick(jobFacts)];
      return phrase(random, kind, withArticle(job.name), asks, answer(job, capitalise(withArticle(job.name))));
    },
  },
  { weight: 2, make: sayWho },
  {
    weight: 6,
    make: (random) => {
      const [country, [kind, asks, answer]] = [random.pick(COUNTRIES), random.pick(countryFacts)];
      return phrase(random, kind, country.name, asks, answer(country));
    },
  },
  { weight: 1, make: capitalOf },
];
