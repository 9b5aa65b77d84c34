import Type from 'typebox';
import { listOf } from '../http/list-schema.ts';

export const ModelObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model'),
    created: Type.Integer(),
    owned_by: Type.String(),
    family: Type.Optional(Type.String({ description: "Of a base model: config.json's `model_type`." })),
    parameters: Type.Optional(Type.Integer({ description: 'Of a base model.' })),
    size_bytes: Type.Optional(Type.Integer({ description: "Of a base model's weights on disk." })),
    tuning_types: Type.Optional(
      Type.Array(Type.String(), { description: 'What a job may say in `tuning.type`; empty for a family that is not computed.' }),
    ),
    revision: Type.Optional(Type.String({ description: 'Of a base model from the hub: its commit.' })),
    downloaded: Type.Optional(Type.Boolean({ description: 'Of a base model from the hub: false when a job would have to download it first.' })),
    base_model: Type.Optional(Type.String({ description: 'Of a tuned model.' })),
    job_id: Type.Optional(Type.String({ description: 'The job that made it.' })),
    tuning_type: Type.Optional(Type.String({ description: 'How it was tuned.' })),
  },
  { title: 'Model', description: "OpenAI's four fields, and what tells base models and tuned ones apart." },
);
export const ModelList = listOf(ModelObject);
export const ModelDeleted = Type.Object({ id: Type.String(), object: Type.Literal('model'), deleted: Type.Boolean() });
export const ModelParams = Type.Object({ model: Type.String({ description: 'Percent-encoded: `ft:a/b` is `ft%3Aa%2Fb`.' }) });
