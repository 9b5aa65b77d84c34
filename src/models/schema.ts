import Type from 'typebox';
import { listOf } from '../list-schema.ts';

export const ModelObject = Type.Object(
  { id: Type.String(), object: Type.Literal('model'), created: Type.Integer(), owned_by: Type.String() },
  { title: 'Model' },
);
export const ModelList = listOf(ModelObject);
export const ModelDeleted = Type.Object({ id: Type.String(), object: Type.Literal('model'), deleted: Type.Boolean() });
export const ModelParams = Type.Object({ model: Type.String({ description: 'Percent-encoded: `ft:a/b` is `ft%3Aa%2Fb`.' }) });
