import Type from 'typebox';
import { literals } from '../formats/one-of.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import type { Permission } from './store.ts';

/** More projects than an organization shares one model with at once. */
const MAX_PROJECTS = 100;

export const CreatePermissions = Type.Object(
  { project_ids: Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: MAX_PROJECTS, uniqueItems: true }) },
  { additionalProperties: false, title: 'CreateCheckpointPermissions' },
);

const name = { fine_tuned_model_checkpoint: Type.String({ description: 'The name of a tuned model or of a checkpoint, percent-encoded.' }) };
export const ModelParams = Type.Object(name);
export const PermissionParams = Type.Object({ ...name, permission_id: Type.String() });

export const PermissionQuery = Type.Object(
  {
    after,
    limit: limit(10),
    order: literals(['ascending', 'descending'], { default: 'descending' }),
    project_id: Type.Optional(Type.String({ description: 'Only the permission of this project.' })),
  },
  { additionalProperties: false },
);

export const PermissionObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('checkpoint.permission'),
    created_at: Type.Integer(),
    project_id: Type.String({ description: 'The project that may use the model.' }),
  },
  { title: 'CheckpointPermission' },
);
export const PermissionList = cursorListOf(PermissionObject);
export const PermissionDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('checkpoint.permission'), deleted: Type.Boolean() },
  { title: 'CheckpointPermissionDeleted' },
);

export const permissionView = ({ id, createdAt, projectId }: Permission): Type.Static<typeof PermissionObject> => ({
  id,
  object: 'checkpoint.permission',
  created_at: unixSeconds(createdAt),
  project_id: projectId,
});
