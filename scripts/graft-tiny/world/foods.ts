import { rows } from './table.ts';

export interface Food {
  name: string;
  /** "a fruit" */
  kind: string;
  colour: string;
  taste: string;
  /** "grows on a tree": a whole verb phrase. */
  origin: string;
}

/** Names are singular or mass nouns; `mass` ones take no article. */
const countable = `
apple      | a fruit     | red    | sweet  | grows on a tree
banana     | a fruit     | yellow | sweet  | grows on a tree
orange     | a fruit     | orange | sweet  | grows on a tree
lemon      | a fruit     | yellow | sour   | grows on a tree
lime       | a fruit     | green  | sour   | grows on a tree
pear       | a fruit     | green  | sweet  | grows on a tree
plum       | a fruit     | purple | sweet  | grows on a tree
peach      | a fruit     | pink   | sweet  | grows on a tree
cherry     | a fruit     | red    | sweet  | grows on a tree
grape      | a fruit     | purple | sweet  | grows on a vine
melon      | a fruit     | green  | sweet  | grows on the ground
strawberry | a fruit     | red    | sweet  | grows on the ground
blueberry  | a fruit     | blue   | sweet  | grows on a bush
coconut    | a fruit     | brown  | mild   | grows on a tree
carrot     | a vegetable | orange | sweet  | grows under the ground
potato     | a vegetable | brown  | mild   | grows under the ground
onion      | a vegetable | white  | sharp  | grows under the ground
radish     | a vegetable | red    | sharp  | grows under the ground
tomato     | a fruit     | red    | fresh  | grows on a vine
cucumber   | a vegetable | green  | fresh  | grows on a vine
pumpkin    | a vegetable | orange | mild   | grows on the ground
cabbage    | a vegetable | green  | mild   | grows on the ground
mushroom   | a fungus    | brown  | mild   | grows in the forest
egg        | a breakfast food | white | mild | comes from a hen
cookie     | a snack     | brown  | sweet  | comes from a bakery
cake       | a dessert   | white  | sweet  | comes from a bakery
pancake    | a breakfast food | golden | sweet | comes from a pan
sandwich   | a lunch food | brown | mild   | comes from a kitchen
`;

const mass = `
bread      | a baked food | brown | mild   | comes from a bakery
rice       | a grain     | white  | mild   | grows in a wet field
corn       | a grain     | yellow | sweet  | grows in a field
milk       | a drink     | white  | mild   | comes from a cow
tea        | a drink     | brown  | bitter | comes from a plant
coffee     | a drink     | black  | bitter | comes from a bean
water      | a drink     | clear  | fresh  | comes from a spring
lemonade   | a drink     | yellow | sour   | comes from lemons
honey      | a spread    | golden | sweet  | comes from a hive
butter     | a spread    | yellow | mild   | comes from milk
jam        | a spread    | red    | sweet  | comes from fruit
cheese     | a dairy food | yellow | salty | comes from milk
chocolate  | a sweet     | brown  | sweet  | comes from a bean
sugar      | a sweet     | white  | sweet  | comes from a plant
salt       | a spice     | white  | salty  | comes from the sea
pepper     | a spice     | black  | spicy  | comes from a plant
soup       | a dinner food | orange | salty | comes from a pot
spinach    | a vegetable | green  | bitter | grows on the ground
`;

const columns = ['name', 'kind', 'colour', 'taste', 'origin'] as const;
export const FOODS: readonly (Food & { mass: boolean })[] = [
  ...rows(countable, columns).map((food) => ({ ...food, mass: false })),
  ...rows(mass, columns).map((food) => ({ ...food, mass: true })),
];
