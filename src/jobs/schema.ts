import Type from 'typebox';
import { AskedAnalysis } from '../formats/analysis.ts';
import { anyObject } from '../formats/any-object.ts';
import { Asked, Evaluations, SamplePrompts } from '../formats/evaluations.ts';
import { Hyperparameters } from '../formats/hyperparameters.ts';
import { nullable } from '../formats/nullable.ts';
import { oneOf } from '../formats/one-of.ts';
import { Tuning } from '../formats/tuning/tuning.ts';
import { AdapterFile } from '../formats/uploaded-adapter.ts';
import { after, limit } from '../http/list-schema.ts';
import { PAIRS } from '../http/openapi/parameters.ts';
import { Integrations } from './integrations.ts';
import { eventLevels, eventTypes } from './job.ts';
import { Method, ShownHyperparameters, ShownMethod } from './method-schema.ts';
import { needs } from './setback.ts';
import { jobStatuses } from './state.ts';

/** OpenAI's limits. */
const METADATA_KEY_LENGTH = 64;
const METADATA_VALUE_LENGTH = 512;
export const METADATA_PAIRS = 16;
const Metadata = Type.Record(Type.String({ maxLength: METADATA_KEY_LENGTH }), Type.String({ maxLength: METADATA_VALUE_LENGTH }), {
  maxProperties: METADATA_PAIRS,
  additionalProperties: false,
  propertyNames: { maxLength: METADATA_KEY_LENGTH },
  description: 'Up to 16 pairs of your own; jobs can be filtered by them.',
});

/** What a column of a seed holds. */
export const MAX_SEED = 2 ** 31 - 1;

/** As Slurm and Kubernetes count: higher goes first. Few levels, because whoever needs more wants an order of their own. */
const MAX_PRIORITY = 10;
const Priority = Type.Integer({
  minimum: -MAX_PRIORITY,
  maximum: MAX_PRIORITY,
  description: 'Jobs of a higher priority are begun first, whoever owns them; 0 if left out. Within one priority, projects take turns.',
});

const CREATE_EXAMPLES = [
  { model: 'graft-tiny', training_file: 'file-abc123' },
  {
    model: 'graft-tiny',
    training_file: 'file-abc123',
    validation_file: 'file-def456',
    suffix: 'support',
    seed: 7,
    method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 3, batch_size: 'auto', learning_rate: 2e-4 } } },
    tuning: { type: 'lora', r: 16, lora_alpha: 32, target_modules: 'all-linear' },
    metadata: { team: 'support' },
  },
];

/** A name is parsed by its colons, is part of addresses, and is shown in one line. */
const SUFFIX = /^[\p{L}\p{N}_.-](?:[\p{L}\p{M}\p{N}_. -]*[\p{L}\p{M}\p{N}_.-])?$/u;
export const SUFFIX_RULE =
  "Becomes part of the tuned model's name: letters and digits of any language, dots, hyphens, underscores, and spaces between them.";
export const isSuffix = (text: string): boolean => SUFFIX.test(text);

export const CreateJob = Type.Object(
  {
    model: Type.String({
      minLength: 1,
      maxLength: 512,
      description:
        'A base model that GET /v1/models lists, `org/name[@revision]` on the hub if downloads are allowed, or a tuned model or checkpoint (`ft:…`) to continue.',
    }),
    start_from: Type.Optional(nullable(AdapterFile)),
    training_file: Type.String({ minLength: 1, description: 'The id of a file with purpose `fine-tune`.' }),
    validation_file: Type.Optional(nullable(Type.String({ minLength: 1 }))),
    ...Asked.properties,
    ...AskedAnalysis.properties,
    suffix: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 64, description: SUFFIX_RULE }))),
    seed: Type.Optional(nullable(Type.Integer({ minimum: 0, maximum: MAX_SEED }))),
    priority: Type.Optional(nullable(Priority)),
    dry_run: Type.Optional(
      nullable(
        Type.Boolean({
          description:
            'Validates everything and takes two real steps on the largest batch, to measure memory and time (`GET …/dry_run`). Nothing is delivered, and the job is removed a day after it has ended.',
        }),
      ),
    ),
    method: Type.Optional(Method),
    hyperparameters: Type.Optional(
      Type.Unsafe<Hyperparameters>({ ...Hyperparameters, deprecated: true, description: 'Use method.supervised.hyperparameters.' }),
    ),
    tuning: Type.Optional(Tuning),
    metadata: Type.Optional(nullable(Metadata)),
    integrations: Type.Optional(nullable(Integrations)),
  },
  { additionalProperties: false, title: 'CreateFineTuningJob', examples: CREATE_EXAMPLES },
);
export type CreateJob = Type.Static<typeof CreateJob>;

export const JobObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('fine_tuning.job'),
    created_at: Type.Integer(),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) })),
    fine_tuned_model: nullable(Type.String()),
    finished_at: nullable(Type.Integer()),
    expires_at: Type.Optional(
      Type.Integer({ description: "When the operator's policy removes the job with all that it made; a dry run goes a day after it has ended." }),
    ),
    hyperparameters: ShownHyperparameters,
    model: Type.String(),
    start_from: nullable(Type.String({ description: 'The uploaded adapter that the job continues.' })),
    organization_id: Type.String(),
    result_files: Type.Array(Type.String()),
    suffix: nullable(Type.String()),
    seed: Type.Integer(),
    priority: Type.Integer({ description: 'Jobs of a higher priority are begun first.' }),
    dry_run: Type.Boolean({ description: 'Whether the job only measures what it would need.' }),
    sweep_id: nullable(Type.String({ description: 'The sweep that the job is part of.' })),
    status: oneOf(jobStatuses),
    waiting_for: nullable(oneOf(needs, { description: 'What keeps the job from being trained. Its events say more.' })),
    step: nullable(Type.Integer({ description: 'The last step done, at most a second ago.' })),
    total_steps: nullable(Type.Integer({ description: 'Known once the data has been read.' })),
    queue_position: Type.Optional(
      nullable(
        Type.Integer({
          description:
            'In the answer for a single job that waits for a worker: 1 if it is the next of its project. Jobs of other projects with the same priority go in turn with it.',
        }),
      ),
    ),
    trained_tokens: nullable(Type.Integer()),
    training_file: Type.String(),
    validation_file: nullable(Type.String()),
    sample_prompts: nullable(SamplePrompts),
    evaluations: nullable(Evaluations),
    evaluation_file: nullable(Type.String()),
    evaluation_max_examples: nullable(Type.Integer()),
    max_completion_tokens: nullable(Type.Integer()),
    analysis: Type.Boolean({ description: 'Whether what training changed is measured before the job succeeds.' }),
    retention_file: nullable(Type.String()),
    estimated_finish: nullable(
      Type.Integer({
        description: 'While the data is read, when that ends, with the steps if an earlier attempt timed them; then when the last step ends.',
      }),
    ),
    integrations: nullable(Integrations),
    metadata: nullable(Type.Record(Type.String(), Type.String())),
    method: ShownMethod,
    tuning: anyObject("The tuning method and its settings, under PEFT's names."),
  },
  { title: 'FineTuningJob' },
);

export const JobDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('fine_tuning.job'), deleted: Type.Boolean() },
  { title: 'FineTuningJobDeleted' },
);

export const EventObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('fine_tuning.job.event'),
    created_at: Type.Integer(),
    level: oneOf(eventLevels),
    message: Type.String(),
    type: oneOf(eventTypes),
    data: nullable(anyObject('Of metrics: the step, and numbers by name.')),
  },
  { title: 'FineTuningJobEvent' },
);

export const CheckpointObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('fine_tuning.job.checkpoint'),
    created_at: Type.Integer(),
    fine_tuning_job_id: Type.String(),
    fine_tuned_model_checkpoint: Type.String(),
    step_number: Type.Integer(),
    expires_at: Type.Optional(Type.Integer({ description: "When the operator's policy removes the checkpoint." })),
    metrics: anyObject('The step, and numbers by name.'),
  },
  { title: 'FineTuningJobCheckpoint' },
);

export const JobParams = Type.Object({ job_id: Type.String() });

export const JobQuery = Type.Object(
  {
    after,
    limit: limit(20),
    dry_run: Type.Optional(Type.Boolean({ description: 'Only dry runs, or only other jobs; left out: both.' })),
    sweep_id: Type.Optional(Type.String({ description: 'Only the jobs of this sweep.' })),
    metadata: Type.Optional(
      Type.String({
        description:
          'Pairs are written `metadata[key]=value`, any number of them; an empty `metadata=`, or `metadata=null`, selects jobs without metadata.',
        [PAIRS]: Metadata,
      }),
    ),
  },
  // `metadata[key]=value`, any number of them.
  {
    additionalProperties: false,
    patternProperties: { [`^metadata\\[.{1,${METADATA_KEY_LENGTH}}\\]$`]: { type: 'string', maxLength: METADATA_VALUE_LENGTH } },
  },
);
export const CheckpointQuery = Type.Object({ after, limit: limit(10) }, { additionalProperties: false });
