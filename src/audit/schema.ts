import Type from 'typebox';
import { defined } from '../formats/defined.ts';
import { nullable } from '../formats/nullable.ts';
import { oneOf } from '../formats/one-of.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import type { AuditEntry, AuditFilter } from './store.ts';

const AuditActor = Type.Object(
  {
    type: oneOf(['api_key']),
    api_key: Type.Object(
      {
        id: Type.String(),
        type: oneOf(['user', 'service_account']),
        service_account: Type.Optional(Type.Object({ id: Type.String() }, { title: 'AuditServiceAccount' })),
      },
      { title: 'AuditApiKey' },
    ),
  },
  { title: 'AuditActor' },
);

export const AuditObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('organization.audit_log'),
    type: Type.String({ description: "OpenAI's names, as `project.created`, where it has one; otherwise the operation's, as `createFile`." }),
    effective_at: Type.Integer(),
    actor: AuditActor,
    project: nullable(Type.Object({ id: Type.String() }, { title: 'AuditProject' })),
    method: Type.String(),
    route: Type.String(),
    object_id: nullable(Type.String({ description: 'What was created, changed or deleted, as far as there is one.' })),
    status: Type.Integer({ description: 'Status of the answer. From 400 on, nothing was changed.' }),
    ip_address: Type.String({ description: 'Where the request came from: the proxy, if there is one.' }),
  },
  { title: 'AuditLog' },
);
export const AuditList = cursorListOf(AuditObject);

const Texts = Type.Optional(Type.Union([Type.Array(Type.String()), Type.String()]));
const Time = Type.Optional(Type.Integer({ description: 'Unix seconds.' }));
/** As OpenAI's clients write lists and objects in a query. */
export const AuditQuery = Type.Object(
  {
    after,
    before: Type.Optional(Type.String({ description: 'Id of the first item of the next page.' })),
    limit: limit(20),
    'project_ids[]': Texts,
    'event_types[]': Texts,
    'actor_ids[]': Texts,
    'resource_ids[]': Texts,
    'effective_at[gt]': Time,
    'effective_at[gte]': Time,
    'effective_at[lt]': Time,
    'effective_at[lte]': Time,
  },
  { additionalProperties: false },
);

/** A query that names one item has a text, not a list. */
const listed = (value: string | string[] | undefined): string[] | undefined => (typeof value === 'string' ? [value] : value);

export function auditFilter(query: Type.Static<typeof AuditQuery>): AuditFilter {
  const bounds = (['gt', 'gte', 'lt', 'lte'] as const).flatMap((name) => {
    const seconds = query[`effective_at[${name}]`];
    return seconds === undefined ? [] : [[name, new Date(seconds * 1000)] as const];
  });
  const conditions = defined({
    after: query.after,
    before: query.before,
    projects: listed(query['project_ids[]']),
    types: listed(query['event_types[]']),
    actors: listed(query['actor_ids[]']),
    objects: listed(query['resource_ids[]']),
    at: bounds.length === 0 ? undefined : Object.fromEntries(bounds),
  });
  return { limit: query.limit, ...conditions };
}

export const auditView = (entry: AuditEntry): Type.Static<typeof AuditObject> => ({
  id: entry.id,
  object: 'organization.audit_log',
  type: entry.type,
  effective_at: unixSeconds(entry.at),
  actor: {
    type: 'api_key',
    api_key: {
      id: entry.keyId,
      type: entry.serviceAccountId === null ? 'user' : 'service_account',
      ...(entry.serviceAccountId !== null && { service_account: { id: entry.serviceAccountId } }),
    },
  },
  project: entry.projectId === null ? null : { id: entry.projectId },
  method: entry.method,
  route: entry.route,
  object_id: entry.objectId,
  status: entry.status,
  ip_address: entry.ipAddress,
});
