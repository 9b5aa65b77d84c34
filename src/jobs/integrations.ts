import Type from 'typebox';
import { nullable } from '../formats/nullable.ts';
import { Refusal } from '../formats/refusal.ts';
import { shown } from '../formats/shown.ts';
import type { IntegrationsConfig } from '../integrations/config.ts';
import type { NewEvent } from './job.ts';

/** More runs than anyone wants of one job. */
const MAX_INTEGRATIONS = 5;
/** As long as Weights & Biases takes them (`validate_project` and `validate_run_tags` of wandb 0.31). */
const name = Type.String({ minLength: 1, maxLength: 128 });
const wandbTag = Type.String({ minLength: 1, maxLength: 64 });
/** What it takes in no name of a project; an entity is a part of the same path. */
const RESERVED = /[/\\#?%:]/;
const MAX_TAGS = 50;
const MAX_TAG_LENGTH = 500;

const Wandb = Type.Object(
  {
    type: Type.Literal('wandb'),
    wandb: Type.Object(
      {
        project: name,
        entity: Type.Optional(nullable(name)),
        name: Type.Optional(nullable(name)),
        tags: Type.Optional(Type.Array(wandbTag, { maxItems: MAX_TAGS })),
      },
      { additionalProperties: false },
    ),
  },
  {
    additionalProperties: false,
    title: 'WandbIntegration',
    description: 'A run in the account whose key the service is set up with; without one it is recorded, and nothing is sent.',
  },
);
export type WandbIntegration = Type.Static<typeof Wandb>;

/** As long as MLflow takes them. */
const longName = Type.String({ minLength: 1, maxLength: 250 });

const Mlflow = Type.Object(
  {
    type: Type.Literal('mlflow'),
    mlflow: Type.Object(
      {
        experiment_name: longName,
        run_name: Type.Optional(nullable(longName)),
        tags: Type.Optional(Type.Record(longName, Type.String({ maxLength: MAX_TAG_LENGTH }), { maxProperties: MAX_TAGS })),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, title: 'MlflowIntegration', description: 'A run at the MLflow server that the service is set up with.' },
);
export type MlflowIntegration = Type.Static<typeof Mlflow>;

export const Integrations = Type.Array(Type.Union([Wandb, Mlflow]), { maxItems: MAX_INTEGRATIONS });
export type Integrations = Type.Static<typeof Integrations>;

/** @throws Refusal for names that the server would refuse, and for a server that the service does not know */
export function requireIntegrations(integrations: Integrations | null, { mlflow }: IntegrationsConfig): void {
  for (const [position, integration] of (integrations ?? []).entries())
    if (integration.type === 'wandb') requireNames(integration.wandb, `integrations.${position}.wandb`);
  const index = (integrations ?? []).findIndex(({ type }) => type === 'mlflow');
  if (index === -1 || mlflow !== null) return;
  throw new Refusal('invalid_value', 'This service has no MLflow server', {
    param: `integrations.${index}.type`,
    hint: 'Whoever runs the service names one as MLFLOW_TRACKING_URI.',
  });
}

/** @throws Refusal: the job would run, and never be shown */
function requireNames({ project, entity }: WandbIntegration['wandb'], param: string): void {
  for (const [field, value] of Object.entries({ project, entity }))
    if (value != null && RESERVED.test(value))
      throw new Refusal('invalid_value', `${field} is ${shown(value)}`, {
        param: `${param}.${field}`,
        hint: 'Weights & Biases takes none of / \\ # ? % : in it. A project of somebody else is named by entity and project.',
      });
}

/** The runs that a job has at tracking servers, by its place in the list. */
export const runsOf = (integrations: Integrations | null, { wandb }: IntegrationsConfig) =>
  (integrations ?? []).flatMap(({ type }, position) => (type === 'wandb' && wandb === null ? [] : [{ type, position }]));

/** What the job's reader is told of integrations that do nothing. */
export const integrationWarnings = (integrations: Integrations | null, { wandb }: IntegrationsConfig): NewEvent[] =>
  (integrations ?? []).flatMap((integration) => {
    if (integration.type !== 'wandb' || wandb !== null) return [];
    const message = `The integration with Weights & Biases is recorded, but this service sends nothing there, because whoever runs it has set no WANDB_API_KEY: the project "${integration.wandb.project}" gets no run. Every step's metrics are in the job's events, in step_metrics.csv and in its file for TensorBoard`;
    return [{ level: 'warn', message } as const];
  });
