import Type from 'typebox';
import { anyObject } from '../formats/any-object.ts';
import { nullable } from '../formats/nullable.ts';
import { literals, oneOf } from '../formats/one-of.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import { CreateJob, MAX_SEED } from '../jobs/schema.ts';
import { jobStatuses } from '../jobs/state.ts';
import { sweepStatuses } from './sweep.ts';

/** More jobs than this are more likely a mistake than a plan. */
export const MAX_TRIALS = 1_000;
/** Each multiplies the number of combinations. */
const MAX_PARAMETERS = 20;
/** Longer than the path of any field. */
const MAX_PATH_LENGTH = 128;
const MAX_NAME_LENGTH = 64;
const DEFAULT_PAGE = 20;
/** The largest step that a row can hold. */
const MAX_STEPS = 2 ** 31 - 1;

const Range = Type.Object(
  {
    min: Type.Number(),
    max: Type.Number(),
    scale: Type.Optional(literals(['linear', 'log'] as const, { description: 'Default: linear.' })),
    type: Type.Optional(literals(['number', 'integer'] as const, { description: 'Default: number.' })),
  },
  { additionalProperties: false, title: 'SweepRange', description: 'Values are drawn from min to max, evenly or evenly in their logarithm.' },
);
export type Range = Type.Static<typeof Range>;

const Values = Type.Array(Type.Unknown(), { minItems: 1, maxItems: MAX_TRIALS, description: 'The values that the field takes.' });

const Search = Type.Object(
  {
    strategy: literals(['grid', 'random', 'successive_halving'] as const, {
      description:
        '`grid`: every combination. `random`: `n` of them, drawn. `successive_halving`: as `random` (or every combination, without `n`); all train `min_steps` steps, the best 1/`eta` of them `eta` times as many, and so on until one is left, which trains to its end.',
    }),
    parameters: Type.Record(Type.String({ minLength: 1, maxLength: MAX_PATH_LENGTH }), Type.Union([Values, Range]), {
      minProperties: 1,
      maxProperties: MAX_PARAMETERS,
      description:
        "What the jobs differ in: paths of a job's fields, such as `tuning.r`, `tuning`, `method` or `hyperparameters.learning_rate` (those of the method), each with a list of values or a range.",
    }),
    n: Type.Optional(Type.Integer({ minimum: 1, description: `How many jobs there are, at most ${MAX_TRIALS}. Not for a grid.` })),
    eta: Type.Optional(Type.Integer({ minimum: 2, maximum: 10, default: 3, description: 'Of successive halving: one in `eta` jobs trains on.' })),
    min_steps: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_STEPS, description: 'Of successive halving: the step at which all jobs are first compared.' }),
    ),
  },
  { additionalProperties: false, title: 'SweepSearch' },
);
export type Search = Type.Static<typeof Search>;

const Budget = Type.Object(
  {
    steps: Type.Optional(Type.Integer({ minimum: 1 })),
    tokens: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  {
    additionalProperties: false,
    title: 'SweepBudget',
    minProperties: 1,
    maxProperties: 1,
    description: 'Steps or tokens of all jobs together. No further job is created once the existing ones have used it up, or will have by their end.',
  },
);
export type Budget = Type.Static<typeof Budget>;

const BASE_EXAMPLE = { model: 'graft-tiny', training_file: 'file-abc123', validation_file: 'file-def456' };

export const CreateSweep = Type.Object(
  {
    name: Type.Optional(nullable(Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH, description: 'For you to recognise it by.' }))),
    base: CreateJob,
    search: Search,
    budget: Type.Optional(nullable(Budget)),
    seed: Type.Optional(
      nullable(
        Type.Integer({
          minimum: 0,
          maximum: MAX_SEED,
          description: 'The same seed draws the same values. It is also the seed of the jobs, unless the base has one.',
        }),
      ),
    ),
    metric: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 128,
        description: 'What jobs are compared by: `full_valid_…` (default `full_valid_loss`), `train_…`, or `eval_` and the name of an evaluation.',
      }),
    ),
    mode: Type.Optional(
      literals(['min', 'max'] as const, {
        description: 'Whether the lowest or the highest value is the best; default: the lowest loss, the highest of all else.',
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'CreateFineTuningSweep',
    examples: [
      {
        name: 'rates-and-ranks',
        base: BASE_EXAMPLE,
        search: { strategy: 'grid', parameters: { 'hyperparameters.learning_rate': [1e-4, 5e-4], 'tuning.r': [4, 16] } },
      },
      {
        base: BASE_EXAMPLE,
        search: {
          strategy: 'successive_halving',
          parameters: { 'hyperparameters.learning_rate': { min: 1e-5, max: 1e-2, scale: 'log' }, tuning: [{ type: 'lora', r: 8 }, { type: 'full' }] },
          n: 9,
          eta: 3,
          min_steps: 20,
        },
        seed: 7,
      },
    ],
  },
);
export type CreateSweep = Type.Static<typeof CreateSweep>;

const trialStatuses = ['pending', 'not_started', 'refused', 'deleted', ...jobStatuses] as const;

export const TrialObject = Type.Object(
  {
    index: Type.Integer(),
    values: anyObject('What the job has in place of the base: values by the paths of their fields.'),
    job_id: nullable(Type.String()),
    fine_tuned_model: nullable(Type.String()),
    status: oneOf(trialStatuses, {
      description:
        "The job's status. Without a job: `pending` until it is created, `not_started` if the sweep has ended before, `refused`, or `deleted`.",
    }),
    step: nullable(Type.Integer()),
    total_steps: nullable(Type.Integer()),
    metric: nullable(
      Type.Object(
        { step: Type.Integer(), value: Type.Number() },
        { title: 'SweepMetric', description: "The value of the metric that the job's model has, and since which step." },
      ),
    ),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) }, { title: 'SweepTrialError' })),
  },
  { title: 'FineTuningSweepTrial' },
);

const seconds = nullable(Type.Integer());

export const SweepObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('fine_tuning.sweep'),
    created_at: Type.Integer(),
    finished_at: seconds,
    name: nullable(Type.String()),
    status: oneOf(sweepStatuses),
    base: anyObject('What the jobs have in common, as it was asked for.'),
    search: anyObject('As it was asked for.'),
    budget: nullable(anyObject('As it was asked for.')),
    seed: Type.Integer(),
    metric: Type.String(),
    mode: oneOf(['min', 'max'] as const),
    jobs: Type.Object(
      { total: Type.Integer(), created: Type.Integer(), ended: Type.Integer(), succeeded: Type.Integer() },
      { title: 'SweepCounts', description: 'How many jobs there will be, and how many there have been.' },
    ),
    waiting_for: nullable(Type.String({ description: 'Why the next job has not been created yet.' })),
    rungs: Type.Array(
      Type.Object(
        {
          step: Type.Integer(),
          kept: Type.Array(Type.Integer()),
          stopped: Type.Array(Type.Object({ index: Type.Integer(), value: nullable(Type.Number()) }, { title: 'SweepStopped' })),
        },
        { title: 'SweepRung' },
      ),
      { description: 'Of successive halving: what each comparison decided, the best first.' },
    ),
    winner: nullable(
      Type.Object(
        { index: Type.Integer(), job_id: Type.String(), value: Type.Number() },
        { title: 'SweepWinner', description: 'The job with the best value of the metric, once the sweep has ended.' },
      ),
    ),
    reason: nullable(Type.String({ description: 'Why it is the winner, or why no job is.' })),
  },
  { title: 'FineTuningSweep' },
);

export const SweepWithTrials = Type.Object({ ...SweepObject.properties, trials: Type.Array(TrialObject) }, { title: 'FineTuningSweepWithTrials' });

export const SweepList = cursorListOf(SweepObject);
export const SweepDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('fine_tuning.sweep'), deleted: Type.Boolean() },
  { title: 'FineTuningSweepDeleted' },
);
export const SweepParams = Type.Object({ sweep_id: Type.String() });
export const SweepQuery = Type.Object({ after, limit: limit(DEFAULT_PAGE) }, { additionalProperties: false });
export const DeleteSweepQuery = Type.Object(
  { keep_winner: Type.Optional(Type.Boolean({ description: "Keep the winner's job, and its model." })) },
  { additionalProperties: false },
);
