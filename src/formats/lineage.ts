/** Where an adapter comes from: the manifest delivered with it. The adapter's own files do not mention it, so that they depend only on the run. */
import { type Static, Type } from 'typebox';
import { HashedFile, Sha256 } from './hashed-file.ts';
import { nullable } from './nullable.ts';
import { ReceiptTemplate } from './token-receipt.ts';

/** File name of the manifest in the delivered directory; PEFT and transformers ignore it. */
export const MANIFEST_FILE = 'graft_manifest.json';

const DataFile = Type.Object({
  id: nullable(Type.String({ description: 'Id of the uploaded file.' })),
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
      revision: nullable(Type.String({ description: "The hub's commit; null for a local directory of the worker." })),
      sha256: Type.String({ description: 'Hash of the lines "{sha256}  {name}" for the files below, as sha256sum writes them.' }),
      files: Type.Array(HashedFile, { description: 'Weights, configuration, tokenizer and template, by name.' }),
    }),
    continued_from: Type.Optional(
      nullable(
        Type.Object(
          {
            model: Type.String({ description: 'The tuned model, the checkpoint, or the id of the uploaded file.' }),
            job: nullable(Type.String({ description: 'The job that made it; null for an uploaded adapter.' })),
            files: Type.Array(HashedFile),
          },
          { description: 'The tuned model, checkpoint or uploaded adapter that training started from; null if it began with the base model alone.' },
        ),
      ),
    ),
    data: Type.Object({ training: DataFile, validation: nullable(DataFile) }),
    template: nullable(ReceiptTemplate),
    seed: Type.Integer(),
    tuning: Type.Any({ description: 'As resolved.' }),
    hyperparameters: Type.Any({ description: 'As resolved.' }),
    step: Type.Integer({ description: 'Optimizer steps that led to these files.' }),
    total_steps: Type.Integer(),
    losses: Type.Object({
      train_loss: nullable(Type.Number({ description: 'Loss of the last step; null if the step was left out because it was not finite.' })),
      valid_loss: nullable(Type.Number()),
      full_valid_loss: nullable(Type.Number()),
    }),
    versions: Type.Object({ graft: Type.String(), node: Type.String(), tfjs: Type.String(), tensorflow: Type.String() }),
  },
  { title: 'Lineage' },
);
export type Lineage = Static<typeof Lineage>;
