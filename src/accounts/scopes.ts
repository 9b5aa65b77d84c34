import { Refusal } from '../formats/refusal.ts';
import type { CallersKey } from './principal.ts';

/** What a key may do. A key has those that it lists and no others: `write` alone reads nothing. */
export const SCOPES = ['read', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Those that a key of a project may have: `admin` manages the organization that the project is in. */
export const PROJECT_SCOPES = ['read', 'write'] as const satisfies readonly Scope[];

const READING = ['GET', 'HEAD', 'OPTIONS'];

/** What a route asks for unless its config names a scope. */
export const scopeOfMethod = (method: string): Scope => (READING.includes(method) ? 'read' : 'write');

/** @throws Refusal missing_scope */
export function requireScope({ scopes }: CallersKey, scope: Scope): void {
  if (scopes.includes(scope)) return;
  const hint =
    scope === 'admin'
      ? 'Use the root key or an admin key of the organization.'
      : 'Use a key that has it: whoever administers the organization makes one at POST /v1/organization/projects/{project_id}/api_keys.';
  throw new Refusal('missing_scope', `The API key lacks the scope "${scope}" that this request needs; it has ${named(scopes)}`, { hint });
}

const named = (scopes: readonly Scope[]): string => (scopes.length === 0 ? 'none' : scopes.map((scope) => `"${scope}"`).join(' and '));
