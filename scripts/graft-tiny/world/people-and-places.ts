import { rows } from './table.ts';

/** What people do for a living, where, and what they say. */
export const JOBS = rows(
  `
baker       | bakes bread          | in a bakery      | Fresh bread!
farmer      | grows food           | on a farm        | Time to plant!
teacher     | teaches children     | in a school      | Please sit down!
doctor      | helps sick people    | in a hospital    | Open wide!
cook        | makes meals          | in a kitchen     | Dinner is ready!
pilot       | flies planes         | in the sky       | Ready for take-off!
sailor      | sails ships          | on the sea       | All aboard!
pirate      | looks for treasure   | on a ship        | Arr, ahoy, matey!
king        | rules a land         | in a castle      | Bow before me!
knight      | guards the king      | in a castle      | For honour!
robot       | does hard work       | in a factory     | Beep boop!
cowboy      | rides a horse        | on the plains    | Howdy, partner!
wizard      | makes magic          | in a tower       | Abracadabra!
ghost       | scares people        | in an old house  | Boo!
painter     | paints pictures      | in a studio      | What a lovely colour!
singer      | sings songs          | on a stage       | La la la!
dancer      | dances               | on a stage       | One, two, three!
driver      | drives a bus         | on the road      | Next stop!
builder     | builds houses        | on a site        | Pass me the hammer!
dentist     | cleans teeth         | in a clinic      | Say ah!
nurse       | cares for people     | in a hospital    | How do you feel?
police officer | keeps people safe | in the city      | Stop!
firefighter | puts out fires       | in the city      | Stand back!
gardener    | plants flowers       | in a garden      | What nice roses!
fisherman   | catches fish         | on a boat        | I got one!
judge       | decides cases        | in a court       | Order, order!
writer      | writes books         | at a desk        | The end!
tailor      | sews clothes         | in a shop        | It fits well!
`,
  ['name', 'does', 'place', 'says'],
);

export const COUNTRIES = rows(
  `
France   | Paris      | French     | Europe
Spain    | Madrid     | Spanish    | Europe
Italy    | Rome       | Italian    | Europe
Germany  | Berlin     | German     | Europe
Greece   | Athens     | Greek      | Europe
Poland   | Warsaw     | Polish     | Europe
Norway   | Oslo       | Norwegian  | Europe
Sweden   | Stockholm  | Swedish    | Europe
Portugal | Lisbon     | Portuguese | Europe
England  | London     | English    | Europe
Russia   | Moscow     | Russian    | Europe
Egypt    | Cairo      | Arabic     | Africa
Kenya    | Nairobi    | Swahili    | Africa
Japan    | Tokyo      | Japanese   | Asia
China    | Beijing    | Chinese    | Asia
India    | New Delhi  | Hindi      | Asia
Turkey   | Ankara     | Turkish    | Asia
Vietnam  | Hanoi      | Vietnamese | Asia
Mexico   | Mexico City| Spanish    | North America
Canada   | Ottawa     | English    | North America
Cuba     | Havana     | Spanish    | North America
Peru     | Lima       | Spanish    | South America
Chile    | Santiago   | Spanish    | South America
Brazil   | Brasilia   | Portuguese | South America
`,
  ['name', 'capital', 'language', 'continent'],
);

export const NAMES = [
  ...['Anna', 'Ben', 'Clara', 'David', 'Emma', 'Felix', 'Grace', 'Henry', 'Ida', 'Jack', 'Kate', 'Leo', 'Mia', 'Noah', 'Olga', 'Paul', 'Rosa'],
  ...['Sam', 'Tom', 'Uma', 'Victor', 'Wendy', 'Yara', 'Zoe', 'Alice', 'Bob', 'Carol', 'Dan', 'Eva', 'Max', 'Lily', 'Lucas', 'Maria', 'Peter'],
] as const;
