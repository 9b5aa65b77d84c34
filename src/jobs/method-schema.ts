/** What a job may say of its objective, and what it shows of it: OpenAI's `method`. */
import Type from 'typebox';
import { Hyperparameters } from '../formats/hyperparameters.ts';
import { nullable } from '../formats/nullable.ts';
import { OBJECTIVE_NAMES, type ObjectiveName, objectiveFormat } from '../formats/objectives/objectives.ts';
import { oneOf } from '../formats/one-of.ts';

/** Larger than any template in use; the longest that models ship are near 20,000. */
const MAX_TEMPLATE_LENGTH = 64 * 1024;

const settingsOf = <T extends Type.TSchema>(hyperparameters: T) =>
  Type.Object(
    {
      hyperparameters: Type.Optional(hyperparameters),
      chat_template: Type.Optional(
        nullable(
          Type.String({
            minLength: 1,
            maxLength: MAX_TEMPLATE_LENGTH,
            description: "A Jinja chat template, used instead of the model's own and delivered with the result.",
          }),
        ),
      ),
      chat_template_kwargs: Type.Optional(
        nullable(
          Type.Record(Type.String(), Type.Unknown(), {
            description:
              'Variables for the chat template, such as `{"enable_thinking": false}`. A line\'s own `chat_template_kwargs` take precedence.',
          }),
        ),
      ),
    },
    { additionalProperties: false },
  );
/** What a job may ask for with an objective: the hyperparameters of all, and its own. */
const hyperparametersFor = (objective: ObjectiveName): Type.TObject => {
  const { properties } = objectiveFormat(objective);
  if (Object.keys(properties).length === 0) return Hyperparameters;
  return Type.Object(
    { ...Hyperparameters.properties, ...properties },
    { additionalProperties: false, title: `${objective.toUpperCase()}Hyperparameters` },
  );
};
type ObjectiveSettings = Type.Static<ReturnType<typeof settingsOf<typeof Hyperparameters>>>;

/** The objectives, and OpenAI's other method. */
const METHOD_TYPES = [...OBJECTIVE_NAMES, 'reinforcement'] as const;

export const Method = Type.Unsafe<{ type: (typeof METHOD_TYPES)[number]; reinforcement?: unknown } & { [name in ObjectiveName]?: ObjectiveSettings }>(
  Type.Object(
    {
      type: oneOf(METHOD_TYPES, {
        description:
          'What is minimised: `supervised` imitates answers; `distillation` also imitates how probable a teacher found their tokens; the others compare answers. `reinforcement` is not supported.',
      }),
      ...Object.fromEntries(OBJECTIVE_NAMES.map((name) => [name, Type.Optional(settingsOf(hyperparametersFor(name)))])),
      reinforcement: Type.Optional(Type.Unknown({ description: 'Not supported.' })),
    },
    { additionalProperties: false },
  ),
);

const autoOrNumber = Type.Unsafe<string | number>({ type: ['string', 'number'] });
export const ShownHyperparameters = Type.Object(
  { n_epochs: autoOrNumber, batch_size: autoOrNumber, learning_rate_multiplier: autoOrNumber },
  { additionalProperties: true, description: '"auto" until the data has been read, then the values chosen.' },
);

const ShownSettings = Type.Object({
  hyperparameters: ShownHyperparameters,
  chat_template: Type.Optional(Type.String()),
  chat_template_kwargs: Type.Optional(Type.Any()),
});

export const ShownMethod = Type.Object(
  { type: Type.String(), ...Object.fromEntries(OBJECTIVE_NAMES.map((name) => [name, Type.Optional(ShownSettings)])) },
  { description: 'The settings are under the name of the type.' },
);
