import Type from 'typebox';
import { after, limit, listOf } from '../http/list-schema.ts';

export const ModelObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model'),
    created: Type.Integer(),
    owned_by: Type.String(),
    family: Type.Optional(Type.String({ description: 'Base models: `model_type` of config.json.' })),
    parameters: Type.Optional(Type.Integer({ description: 'Base models: number of parameters.' })),
    size_bytes: Type.Optional(Type.Integer({ description: 'Base models: size on disk.' })),
    tuning_types: Type.Optional(
      Type.Array(Type.String(), { description: 'Base models: values that `tuning.type` may have; empty for an unsupported family.' }),
    ),
    revision: Type.Optional(Type.String({ description: 'Base models from the hub: the commit.' })),
    downloaded: Type.Optional(Type.Boolean({ description: 'Base models from the hub: false if a job would have to download the model first.' })),
    base_model: Type.Optional(Type.String({ description: 'Tuned models: the model that was tuned.' })),
    job_id: Type.Optional(Type.String({ description: 'Tuned models: the job that made it.' })),
    tuning_type: Type.Optional(Type.String({ description: 'Tuned models: the tuning method.' })),
  },
  { title: 'Model', description: "OpenAI's four fields, followed by those of base models and of tuned models." },
);
export const ModelList = listOf(ModelObject);
export const ModelDeleted = Type.Object({ id: Type.String(), object: Type.Literal('model'), deleted: Type.Boolean() }, { title: 'ModelDeleted' });
export const ModelQuery = Type.Object({ after, limit: limit(100, 1_000) }, { additionalProperties: false });
export const ModelParams = Type.Object({ model: Type.String({ description: 'Percent-encoded: `ft:a/b` is `ft%3Aa%2Fb`.' }) });
