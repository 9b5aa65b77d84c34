import Type from 'typebox';
import { nullable } from '../formats/nullable.ts';
import type { NewEvent } from './job.ts';

/** More runs than anyone wants of one job. */
const MAX_INTEGRATIONS = 5;
/** As long as Weights & Biases takes them. */
const name = Type.String({ minLength: 1, maxLength: 128 });
const MAX_TAGS = 50;

const Wandb = Type.Object(
  {
    type: Type.Literal('wandb'),
    wandb: Type.Object(
      {
        project: name,
        entity: Type.Optional(nullable(name)),
        name: Type.Optional(nullable(name)),
        tags: Type.Optional(Type.Array(name, { maxItems: MAX_TAGS })),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, title: 'WandbIntegration', description: 'Recorded and shown; nothing is sent to Weights & Biases.' },
);
export const Integrations = Type.Array(Wandb, { maxItems: MAX_INTEGRATIONS });
export type Integrations = Type.Static<typeof Integrations>;

/** What the job's reader is told of integrations that do nothing. */
export const integrationWarnings = (integrations: Integrations | null): NewEvent[] =>
  (integrations ?? []).map(({ wandb: { project } }) => ({
    level: 'warn',
    message: `The integration with Weights & Biases is recorded, but this service sends nothing there: the project "${project}" gets no run. Every step's metrics are in the job's events and in step_metrics.csv`,
  }));
