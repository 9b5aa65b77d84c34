/** What fine-tuning changed: how much of what the base knew was lost, and how large, and of what rank, the change of each weight is. */
import { type Static, Type } from 'typebox';
import { count } from './count.ts';
import { nullable } from './nullable.ts';
import { oneOf } from './one-of.ts';

/** Ranks whose share of a change's energy is given. */
export const ENERGY_RANKS = [1, 2, 4, 8, 16, 32, 64] as const;

/** More than anyone reads, and enough for the energy of the largest rank above. */
export const SHOWN_SINGULAR_VALUES = 64;

const nats = (description: string) => Type.Number({ description: `${description}, in nats per token that counts.` });

const Forgetting = Type.Object(
  {
    measured_on: oneOf(['retention_file', 'samples'] as const, {
      description: "The job's retention file, or texts that the base model wrote, one token after the other drawn from its own probabilities.",
    }),
    examples: count('Examples of the file, or texts.'),
    tokens: count('Tokens of them that count in the loss.'),
    before: nats('Loss of the base model'),
    after: nats('Loss of the tuned model'),
    rise: nats("after − before. On the base's own samples it estimates the Kullback–Leibler divergence of the tuned model from its base"),
  },
  { title: 'Forgetting' },
);
export type Forgetting = Static<typeof Forgetting>;

const EnergyShare = Type.Object(
  {
    r: Type.Integer({ minimum: 1 }),
    share: Type.Number({ description: 'Of the squares of all singular values, the part that the r largest have.' }),
  },
  { title: 'EnergyShare' },
);
export type EnergyShare = Static<typeof EnergyShare>;

const Spectrum = Type.Object(
  {
    singular_values: Type.Array(Type.Number(), { description: `The largest, at most ${SHOWN_SINGULAR_VALUES}, in descending order.` }),
    energy: Type.Array(EnergyShare),
    error: Type.Number({
      description:
        'How far a singular value may be from the true one, as a part of the largest; 0 where they were not searched for but computed whole.',
    }),
  },
  { title: 'Spectrum' },
);
export type Spectrum = Static<typeof Spectrum>;

const size = {
  norm: Type.Number({ description: 'Frobenius norm of the change.' }),
  relative_norm: nullable(Type.Number({ description: 'As a part of the norm that the same weights have in the base; null where that is zero.' })),
};

const WeightChange = Type.Object(
  {
    name: Type.String({ description: 'As in the checkpoint.' }),
    kind: Type.String({ description: 'The last part of its module: `q_proj`, `embed_tokens`, ….' }),
    layer: nullable(Type.Integer({ minimum: 0, description: 'The block; null outside of them.' })),
    shape: Type.Array(Type.Integer({ minimum: 1 })),
    ...size,
    spectrum: nullable(Type.Unsafe<Spectrum>({ ...Spectrum, description: 'null for a vector.' })),
  },
  { title: 'WeightChange' },
);
export type WeightChange = Static<typeof WeightChange>;

const KindChange = Type.Object(
  {
    kind: Type.String(),
    weights: count('How many weights of this kind have changed.'),
    ...size,
    energy: Type.Array(EnergyShare, { description: 'Of the matrices: each its own first r directions, together. Empty for vectors.' }),
  },
  { title: 'KindChange' },
);
export type KindChange = Static<typeof KindChange>;

const Change = Type.Object(
  {
    ...size,
    kinds: Type.Array(KindChange, { description: 'All layers together, by kind of module.' }),
    weights: Type.Array(WeightChange, { description: 'The weights that differ from those of the base.' }),
  },
  { title: 'WeightChanges' },
);
export type Change = Static<typeof Change>;

export const Analysis = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.analysis'),
    trained_parameters: count('Parameters that were trained.'),
    total_parameters: count('Parameters of the base and of what the method adds.'),
    trained_share: Type.Number({ description: 'trained_parameters / total_parameters' }),
    forgetting: Forgetting,
    change: nullable(
      Type.Unsafe<Change>({ ...Change, description: "The delivered model's weights less those of the base; null where no weights hold the change." }),
    ),
    no_change: nullable(Type.String({ description: 'Why no weights hold it; null if they do.' })),
    seconds: Type.Number({ minimum: 0, description: 'What the analysis took.' }),
  },
  { title: 'Analysis' },
);
export type Analysis = Static<typeof Analysis>;

/** The fields of a job that ask for it. */
export const AskedAnalysis = Type.Object({
  analysis: Type.Optional(
    nullable(Type.Boolean({ description: 'Whether what training changed is measured before the job succeeds: `GET …/analysis`.' })),
  ),
  retention_file: Type.Optional(
    nullable(
      Type.String({
        minLength: 1,
        description: 'The id of a file of what the model must not forget; with `analysis`. Left out: texts that the base model writes itself.',
      }),
    ),
  ),
});
