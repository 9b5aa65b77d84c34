import { rows } from './table.ts';

export interface Animal {
  name: string;
  size: (typeof SIZES)[number];
  colour: string;
  home: string;
  food: string;
  sound: string;
  legs: string;
  /** Third person: "runs". */
  moves: string;
  baby: string;
}

/** From small to large: questions that compare animals use this order. */
export const SIZES = ['tiny', 'small', 'medium', 'large', 'huge'] as const;

const table = `
cow        | large  | brown  | on a farm       | grass        | moo        | four  | walks  | calf
pig        | large  | pink   | on a farm       | corn         | oink       | four  | walks  | piglet
sheep      | medium | white  | in a field      | grass        | baa        | four  | walks  | lamb
goat       | medium | grey   | in the hills    | leaves       | maa        | four  | climbs | kid
horse      | large  | brown  | in a stable     | hay          | neigh      | four  | runs   | foal
donkey     | large  | grey   | in a stable     | hay          | hee-haw    | four  | walks  | foal
hen        | small  | brown  | on a farm       | seeds        | cluck      | two   | walks  | chick
duck       | small  | white  | on a pond       | bread        | quack      | two   | swims  | duckling
goose      | medium | white  | on a pond       | grass        | honk       | two   | swims  | gosling
turkey     | medium | brown  | on a farm       | corn         | gobble     | two   | walks  | chick
dog        | medium | brown  | in a house      | meat         | woof       | four  | runs   | puppy
cat        | small  | black  | in a house      | fish         | meow       | four  | jumps  | kitten
mouse      | tiny   | grey   | in a hole       | cheese       | squeak     | four  | runs   | pup
rabbit     | small  | white  | in a burrow     | carrots      | sniff      | four  | hops   | kitten
hamster    | tiny   | golden | in a cage       | seeds        | squeak     | four  | runs   | pup
fox        | medium | red    | in the forest   | mice         | yip        | four  | runs   | cub
wolf       | large  | grey   | in the forest   | meat         | howl       | four  | runs   | pup
bear       | huge   | brown  | in a cave       | honey        | growl      | four  | walks  | cub
deer       | large  | brown  | in the forest   | leaves       | bleat      | four  | runs   | fawn
squirrel   | small  | red    | in a tree       | nuts         | chatter    | four  | climbs | kitten
hedgehog   | small  | brown  | in a garden     | worms        | snuffle    | four  | walks  | hoglet
owl        | small  | brown  | in a tree       | mice         | hoot       | two   | flies  | owlet
crow       | small  | black  | in a tree       | seeds        | caw        | two   | flies  | chick
robin      | tiny   | red    | in a garden     | worms        | tweet      | two   | flies  | chick
eagle      | medium | brown  | in the mountains| fish         | screech    | two   | flies  | eaglet
parrot     | small  | green  | in the jungle   | fruit        | squawk     | two   | flies  | chick
swan       | large  | white  | on a lake       | plants       | hiss       | two   | swims  | cygnet
penguin    | medium | black  | on the ice      | fish         | honk       | two   | swims  | chick
flamingo   | medium | pink   | on a lake       | shrimp       | honk       | two   | walks  | chick
ostrich    | large  | black  | in the desert   | plants       | boom       | two   | runs   | chick
lion       | large  | golden | on the plains   | meat         | roar       | four  | runs   | cub
tiger      | large  | orange | in the jungle   | meat         | roar       | four  | runs   | cub
leopard    | large  | yellow | in the jungle   | meat         | snarl      | four  | climbs | cub
elephant   | huge   | grey   | on the plains   | leaves       | trumpet    | four  | walks  | calf
giraffe    | huge   | yellow | on the plains   | leaves       | hum        | four  | walks  | calf
zebra      | large  | striped| on the plains   | grass        | bark       | four  | runs   | foal
hippo      | huge   | grey   | in a river      | grass        | grunt      | four  | swims  | calf
rhino      | huge   | grey   | on the plains   | grass        | snort      | four  | runs   | calf
camel      | large  | golden | in the desert   | plants       | groan      | four  | walks  | calf
monkey     | medium | brown  | in the jungle   | bananas      | chatter    | four  | climbs | infant
gorilla    | large  | black  | in the jungle   | fruit        | grunt      | four  | climbs | infant
panda      | large  | black and white | in the mountains | bamboo | bleat    | four  | climbs | cub
koala      | small  | grey   | in a tree       | leaves       | grunt      | four  | climbs | joey
kangaroo   | large  | brown  | on the plains   | grass        | click      | four  | hops   | joey
crocodile  | huge   | green  | in a river      | meat         | snap       | four  | swims  | hatchling
frog       | tiny   | green  | on a pond       | flies        | croak      | four  | hops   | tadpole
turtle     | small  | green  | in the sea      | plants       | hiss       | four  | swims  | hatchling
snake      | medium | green  | in the desert   | mice         | hiss       | no    | crawls | hatchling
lizard     | tiny   | green  | in the desert   | insects      | chirp      | four  | climbs | hatchling
spider     | tiny   | black  | on a web        | flies        | click      | eight | crawls | spiderling
bee        | tiny   | yellow | in a hive       | honey        | buzz       | six   | flies  | larva
ant        | tiny   | black  | in a nest       | leaves       | click      | six   | crawls | larva
butterfly  | tiny   | blue   | in a garden     | nectar       | flutter    | six   | flies  | caterpillar
snail      | tiny   | brown  | in a garden     | leaves       | squelch    | no    | crawls | snailet
whale      | huge   | blue   | in the sea      | shrimp       | song       | no    | swims  | calf
dolphin    | large  | grey   | in the sea      | fish         | click      | no    | swims  | calf
shark      | huge   | grey   | in the sea      | fish         | snap       | no    | swims  | pup
octopus    | medium | red    | in the sea      | crabs        | gurgle     | eight | swims  | larva
crab       | small  | red    | on the beach    | plants       | click      | ten   | crawls | larva
seal       | large  | grey   | on the ice      | fish         | bark       | no    | swims  | pup
`;

export const ANIMALS: readonly Animal[] = rows(table, ['name', 'size', 'colour', 'home', 'food', 'sound', 'legs', 'moves', 'baby']).map((row) => {
  const size = SIZES.find((known) => known === row.size);
  if (size === undefined) throw new Error(`${row.name} has the unknown size ${row.size}`);
  return { ...row, size };
});
