import { rows } from './table.ts';

export interface Thing {
  name: string;
  material: string;
  place: string;
  /** "cut paper": what people use it to do. */
  use: string;
  colour: string;
}

export const THINGS: readonly Thing[] = rows(
  `
spoon      | metal   | in the kitchen     | eat soup            | silver
knife      | metal   | in the kitchen     | cut bread           | silver
cup        | glass   | in the kitchen     | drink tea           | white
plate      | clay    | in the kitchen     | serve food          | white
pot        | metal   | on the stove       | cook soup           | black
oven       | metal   | in the kitchen     | bake bread          | white
fridge     | metal   | in the kitchen     | keep food cold      | white
bed        | wood    | in the bedroom     | sleep               | brown
pillow     | cotton  | on the bed         | rest your head      | white
lamp       | glass   | on the desk        | light the room      | yellow
clock      | plastic | on the wall        | tell the time       | black
mirror     | glass   | in the bathroom    | see yourself        | silver
towel      | cotton  | in the bathroom    | dry your hands      | blue
soap       | oil     | in the bathroom    | wash your hands     | pink
brush      | wood    | in the bathroom    | clean your teeth    | green
chair      | wood    | in the living room | sit down            | brown
table      | wood    | in the dining room | eat dinner          | brown
sofa       | cotton  | in the living room | rest                | grey
door       | wood    | in the hall        | enter a room        | green
key        | metal   | in a pocket        | open a lock         | golden
book       | paper   | on the shelf       | read stories        | red
pencil     | wood    | on the desk        | draw pictures       | yellow
pen        | plastic | on the desk        | write letters       | blue
ruler      | plastic | in the school      | measure lines       | clear
bag        | cotton  | in the school      | carry books         | blue
hammer     | metal   | in the shed        | hit nails           | grey
saw        | metal   | in the shed        | cut wood            | silver
rope       | cotton  | in the shed        | tie things          | brown
bucket     | plastic | in the garden      | carry water         | red
ladder     | wood    | in the shed        | climb up            | brown
umbrella   | plastic | in the hall        | stay dry            | black
hat        | wool    | on your head       | stay warm           | red
coat       | wool    | in the hall        | stay warm outside   | brown
shoe       | leather | on your foot       | walk outside        | black
ball       | rubber  | in the park        | play games          | red
kite       | paper   | in the sky         | play in the wind    | yellow
drum       | wood    | in the music room  | make music          | red
piano      | wood    | in the music room  | play songs          | black
bike       | metal   | on the road        | ride to school      | green
car        | metal   | on the road        | drive to work       | blue
bus        | metal   | on the road        | travel in the city  | yellow
train      | metal   | on the rails       | travel far          | green
boat       | wood    | on the water       | cross a lake        | white
plane      | metal   | in the sky         | fly to other lands  | white
phone      | glass   | in a pocket        | call friends        | black
camera     | plastic | in a bag           | take photos         | black
`,
  ['name', 'material', 'place', 'use', 'colour'],
);
