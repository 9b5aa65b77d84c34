/** Pairs of opposites, asked about in both directions. */
export const OPPOSITES = (
  'hot cold|big small|up down|left right|open closed|fast slow|happy sad|light dark|day night|wet dry|hard soft|old new|full empty|clean dirty|' +
  'loud quiet|rich poor|strong weak|tall short|thick thin|wide narrow|early late|near far|high low|heavy light|easy hard|good bad|right wrong|' +
  'black white|true false|begin end|push pull|buy sell|win lose|awake asleep|alive dead|inside outside|above below|first last|love hate|' +
  'laugh cry|brave afraid|sharp dull|smooth rough|deep shallow|sweet sour|young old|summer winter|north south|east west|yes no|come go|give take'
)
  .split('|')
  .map((pair) => pair.split(' ') as [string, string]);

export const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;
export const MONTHS = 'January February March April May June July August September October November December'.split(' ');

/** Two colours and their mixture. */
export const MIXTURES = [
  ['blue', 'yellow', 'green'],
  ['red', 'yellow', 'orange'],
  ['red', 'blue', 'purple'],
  ['red', 'white', 'pink'],
  ['black', 'white', 'grey'],
  ['red', 'green', 'brown'],
] as const;

/** Questions that have one answer each: [ways to ask, answer]. */
export const GENERAL: readonly [readonly string[], string][] = [
  [['Who are you?', 'What are you?', 'What is your name?', 'Introduce yourself.'], 'I am Graft Tiny, a small language model.'],
  [['What can you do?', 'How can you help me?', 'What do you know?'], 'I can talk about animals, food, things, places and small numbers.'],
  [['How are you?', 'How are you today?', 'How do you feel?'], 'I am fine, thank you. How can I help you?'],
  [['Hello!', 'Hi!', 'Hello there.', 'Good morning!', 'Hey!'], 'Hello! How can I help you today?'],
  [['Thank you!', 'Thanks!', 'Thank you very much.', 'Many thanks!'], 'You are welcome!'],
  [['Goodbye!', 'Bye!', 'See you later.', 'Good night!'], 'Goodbye! Have a nice day.'],
  [['What colour is the sky?', 'Which colour does the sky have?', 'Tell me the colour of the sky.'], 'The sky is blue.'],
  [['What colour is the sun?', 'Which colour does the sun have?'], 'The sun is yellow.'],
  [['What colour is grass?', 'Which colour does grass have?'], 'Grass is green.'],
  [['What colour is snow?', 'Which colour does snow have?'], 'Snow is white.'],
  [['Where does the sun rise?', 'Where can I see the sun rise?'], 'The sun rises in the east.'],
  [['Where does the sun set?', 'Where can I see the sun set?'], 'The sun sets in the west.'],
  [['How many days are in a week?', 'How many days does a week have?'], 'A week has seven days.'],
  [['How many months are in a year?', 'How many months does a year have?'], 'A year has twelve months.'],
  [['How many hours are in a day?', 'How many hours does a day have?'], 'A day has twenty-four hours.'],
  [['How many minutes are in an hour?', 'How many minutes does an hour have?'], 'An hour has sixty minutes.'],
  [['How many seasons are there?', 'How many seasons does a year have?'], 'There are four seasons: spring, summer, autumn and winter.'],
  [['Which season is the coldest?', 'What is the coldest season?'], 'Winter is the coldest season.'],
  [['Which season is the hottest?', 'What is the hottest season?'], 'Summer is the hottest season.'],
  [['How many sides does a triangle have?', 'How many sides are in a triangle?'], 'A triangle has three sides.'],
  [['How many sides does a square have?', 'How many sides are in a square?'], 'A square has four sides.'],
  [['What is ice made of?', 'Tell me what ice is made of.'], 'Ice is frozen water.'],
  [['What do we see with?', 'Which part of the body do we see with?'], 'We see with our eyes.'],
  [['What do we hear with?', 'Which part of the body do we hear with?'], 'We hear with our ears.'],
  [['What do we smell with?', 'Which part of the body do we smell with?'], 'We smell with our nose.'],
  [['What do we walk on?', 'Which part of the body do we walk on?'], 'We walk on our feet.'],
  [['How many fingers does a hand have?', 'How many fingers are on a hand?'], 'A hand has five fingers.'],
  [['What falls from clouds?', 'Tell me what falls from clouds.'], 'Rain falls from clouds.'],
  [['What is the moon?', 'Tell me about the moon.'], 'The moon is a ball of rock. It shines at night.'],
  [['What is the sun?', 'Tell me about the sun.'], 'The sun is a star. It gives us light and warmth.'],
  [['What is rain?', 'Tell me about rain.'], 'Rain is water that falls from clouds.'],
  [['What is snow?', 'Tell me about snow.'], 'Snow is frozen water. It is white and cold.'],
  [['Are you human?', 'Are you a person?', 'Are you a robot?'], 'I am not a person. I am a small language model.'],
  [['Tell me a joke.', 'Do you know a joke?', 'Make me laugh.'], 'Why did the hen cross the road? To get to the other side!'],
];
