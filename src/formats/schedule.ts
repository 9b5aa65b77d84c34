/** Learning-rate schedules as transformers' Trainer has them: their names, their settings (`lr_scheduler_kwargs`), and the warm-up. */
import { type Static, Type } from 'typebox';
import { literals } from './one-of.ts';
import { Refusal } from './refusal.ts';

/** The settings that each schedule has. */
const SETTINGS = {
  linear: [],
  cosine: ['num_cycles'],
  constant: [],
  constant_with_warmup: [],
  cosine_with_restarts: ['num_cycles'],
  polynomial: ['lr_end', 'power'],
  inverse_sqrt: ['timescale'],
  cosine_with_min_lr: ['num_cycles', 'min_lr', 'min_lr_rate'],
  warmup_stable_decay: ['num_decay_steps', 'num_stable_steps', 'warmup_type', 'decay_type', 'min_lr_ratio', 'num_cycles'],
} as const;

const curve = (description: string) => Type.Optional(literals(['linear', 'cosine', '1-sqrt'], { description }));

/** More would be noise between two steps. */
const MAX_CYCLES = 1000;
/** Far beyond any run. */
const MAX_SCHEDULE_STEPS = 10_000_000;

export const SchedulerKwargs = Type.Object(
  {
    num_cycles: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: MAX_CYCLES,
        description: 'Waves of a cosine (cosine: 0.5, half a wave down to 0), or restarts of cosine_with_restarts (1).',
      }),
    ),
    lr_end: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'polynomial: the last learning rate (1e-7).' })),
    power: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 100, description: 'polynomial: its exponent (1).' })),
    timescale: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_SCHEDULE_STEPS, description: 'inverse_sqrt: its scale in steps (the warm-up, or 10,000).' }),
    ),
    min_lr: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'cosine_with_min_lr: the last learning rate.' })),
    min_lr_rate: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: 'cosine_with_min_lr: the same as a share of the largest.' })),
    num_decay_steps: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_SCHEDULE_STEPS, description: 'warmup_stable_decay: steps of the decay; required.' }),
    ),
    num_stable_steps: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_SCHEDULE_STEPS,
        description: 'warmup_stable_decay: steps between warm-up and decay (all that are left).',
      }),
    ),
    warmup_type: curve('warmup_stable_decay: the form of the warm-up (linear).'),
    decay_type: curve('warmup_stable_decay: the form of the decay (cosine).'),
    min_lr_ratio: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: 'warmup_stable_decay: the last learning rate as a share of the largest (0).' }),
    ),
  },
  {
    additionalProperties: false,
    title: 'SchedulerKwargs',
    description: 'Settings of the schedule, as transformers names them; only those that it has.',
  },
);
export type SchedulerKwargs = Static<typeof SchedulerKwargs>;

export type SchedulerType = keyof typeof SETTINGS;
const SCHEDULER_TYPES = Object.keys(SETTINGS) as SchedulerType[];

export const SchedulerType = literals(SCHEDULER_TYPES, {
  default: 'linear',
  description: "transformers' schedules, with its defaults; `constant` has no warm-up.",
});

/** The learning rate at which `polynomial` ends by default. */
export const POLYNOMIAL_END = 1e-7;

interface Asked {
  lr_scheduler_type?: SchedulerType;
  lr_scheduler_kwargs?: SchedulerKwargs;
}

/** @throws Refusal for settings that the schedule does not have, or lacks */
export function checkSchedule({ lr_scheduler_type: type = 'linear', lr_scheduler_kwargs: kwargs = {} }: Asked, param: string): void {
  const known: readonly string[] = SETTINGS[type];
  const refuse = (message: string, hint: string, key?: string): never => {
    throw new Refusal('invalid_value', message, { param: `${param}.lr_scheduler_kwargs${key === undefined ? '' : `.${key}`}`, hint });
  };
  const unknown = Object.keys(kwargs).find((key) => !known.includes(key));
  if (unknown !== undefined)
    refuse(
      `lr_scheduler_type "${type}" has no setting "${unknown}"`,
      known.length === 0 ? 'It has no settings.' : `It has ${known.join(', ')}.`,
      unknown,
    );
  if (type === 'cosine_with_restarts' && !Number.isInteger(kwargs.num_cycles ?? 1))
    refuse(`num_cycles is ${kwargs.num_cycles}, but restarts are counted in whole numbers`, 'Use 1 or more.', 'num_cycles');
  if (type === 'cosine_with_min_lr' && (kwargs.min_lr === undefined) === (kwargs.min_lr_rate === undefined))
    refuse(`lr_scheduler_type "${type}" needs one of min_lr and min_lr_rate`, 'As in {"min_lr_rate": 0.1}.');
  if (type === 'warmup_stable_decay' && kwargs.num_decay_steps === undefined)
    refuse(`lr_scheduler_type "${type}" needs num_decay_steps`, 'As in {"num_decay_steps": 20}: how many steps the decay at the end takes.');
}

/**
 * Checks what depends on the run: its learning rate and its number of steps.
 * @throws Refusal
 */
export function checkScheduleOfRun(
  { lr_scheduler_type: type, lr_scheduler_kwargs: kwargs = {} }: Asked,
  { learningRate, totalSteps, warmupSteps }: { learningRate: number; totalSteps: number; warmupSteps: number },
): void {
  const end = type === 'polynomial' ? (kwargs.lr_end ?? POLYNOMIAL_END) : type === 'cosine_with_min_lr' ? kwargs.min_lr : undefined;
  if (end !== undefined && (type === 'polynomial' ? learningRate <= end : learningRate < end))
    throw new Refusal('invalid_value', `the learning rate is ${learningRate}; lr_scheduler_type "${type}" ends at ${end}`, {
      param: 'hyperparameters.learning_rate',
      hint: type === 'polynomial' ? 'Raise it, or use "linear".' : 'Raise it, or lower min_lr.',
    });
  if (type !== 'warmup_stable_decay') return;
  const planned = warmupSteps + (kwargs.num_stable_steps ?? 0) + kwargs.num_decay_steps!;
  if (planned > totalSteps)
    throw new Refusal('invalid_value', `the schedule has ${planned} steps, warm-up included, but the job has ${totalSteps}`, {
      param: 'hyperparameters.lr_scheduler_kwargs',
      hint: 'Lower num_decay_steps, num_stable_steps or the warm-up.',
    });
}
