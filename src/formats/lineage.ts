/** Where an adapter comes from: the manifest that is delivered beside it. The adapter's own files say nothing of it, so that they depend on the run alone. */
import { type Static, Type } from 'typebox';
import { HashedFile, Sha256 } from './hashed-file.ts';
import { nullable } from './nullable.ts';

/** The manifest's name in the delivered directory, which PEFT and transformers do not know and leave alone. */
export const MANIFEST_FILE = 'graft_manifest.json';

const DataFile = Type.Object({
  id: nullable(Type.String({ description: 'Of the uploaded file.' })),
  sha256: Sha256,
  examples: Type.Integer(),
  tokens: Type.Integer(),
  supervised_tokens: Type.Integer(),
});

export const Lineage = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.lineage'),
    format: Type.Literal(1),
    created_at: Type.String({ description: 'ISO 8601.' }),
    job: nullable(Type.String()),
    base_model: Type.Object({
      name: Type.String(),
      revision: nullable(Type.String({ description: "The hub's commit; null for a directory of the worker's own." })),
      sha256: Type.String({ description: 'Of the lines "{sha256}  {name}" of the files below, as sha256sum writes them.' }),
      files: Type.Array(HashedFile, { description: 'Weights, configuration, tokenizer and template, by name.' }),
    }),
    data: Type.Object({ training: DataFile, validation: nullable(DataFile) }),
    template: nullable(
      Type.Object({
        sha256: Sha256,
        marks_generation: Type.Boolean(),
        date: Type.String({ description: 'What the template was told the date is.' }),
      }),
    ),
    seed: Type.Integer(),
    tuning: Type.Any({ description: 'As resolved.' }),
    hyperparameters: Type.Any({ description: 'As resolved.' }),
    step: Type.Integer({ description: 'Optimizer steps behind these files.' }),
    total_steps: Type.Integer(),
    losses: Type.Object({
      train_loss: Type.Number({ description: 'Of the last step.' }),
      valid_loss: nullable(Type.Number()),
      full_valid_loss: nullable(Type.Number()),
    }),
    versions: Type.Object({ graft: Type.String(), node: Type.String(), tfjs: Type.String(), tensorflow: Type.String() }),
  },
  { title: 'Lineage' },
);
export type Lineage = Static<typeof Lineage>;
