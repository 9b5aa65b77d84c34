import { parseArgs } from 'node:util';
import { PROJECT_SCOPES, SCOPES, type Scope } from '../../src/accounts/scopes.ts';
import { createKey } from '../../src/api-keys/create.ts';
import type { KeyOwner, KeyStore, StoredKey } from '../../src/api-keys/store.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { DEFAULT_ORGANIZATION } from '../../src/ids.ts';
import type { OrganizationStore } from '../../src/organizations/store.ts';
import { archiveProject, findActiveProject, findProject, updateProject } from '../../src/projects/find.ts';
import { NO_RATE_LIMIT } from '../../src/projects/schema.ts';
import type { ProjectLimits, ProjectStore } from '../../src/projects/store.ts';

export const USAGE = `Usage: npm run accounts -- COMMAND

  organizations create NAME
  organizations list
  projects create NAME             [--organization ID]
  projects list                    [--organization ID]
  projects archive ID              [--organization ID]
  projects limits ID               [--organization ID] [--max-files N] [--max-bytes N] [--max-queued-jobs N] [--max-running-jobs N]
                                   [--max-tokens-per-day N] [--requests-per-minute N]     N is a number or "none"; without any, shows them
  keys create NAME --project ID    [--organization ID] [--scopes read,write] [--expires-days N] [--requests-per-minute N]
  keys create NAME --admin         [--organization ID] [--scopes read,write,admin] [--expires-days N]
  keys list                        [--organization ID] [--project ID]     without a project, those of the organization itself
  keys revoke ID                   [--organization ID] [--project ID]

The organization is "${DEFAULT_ORGANIZATION}" unless another is named. A key is printed once, when it is created.`;

export class UsageError extends Error {}

export interface Stores {
  organizations: OrganizationStore;
  projects: ProjectStore;
  keys: KeyStore;
  audit: Pick<AuditStore, 'add'>;
}

const LIMITS = {
  'max-files': 'maxFiles',
  'max-bytes': 'maxBytes',
  'max-queued-jobs': 'maxQueuedJobs',
  'max-running-jobs': 'maxRunningJobs',
  'max-tokens-per-day': 'maxTokensPerDay',
  'requests-per-minute': 'requestsPerMinute',
} as const satisfies Record<string, keyof ProjectLimits>;

const text = { type: 'string' } as const;
const OPTIONS = {
  organization: text,
  project: text,
  scopes: text,
  'expires-days': text,
  admin: { type: 'boolean' } as const,
  ...(Object.fromEntries(Object.keys(LIMITS).map((name) => [name, text])) as Record<keyof typeof LIMITS, typeof text>),
};

/** More are not shown at once: the API has pages. */
const MAX_SHOWN = 1_000;

/** @throws UsageError, Refusal */
export async function runCommand(args: string[], stores: Stores, print: (line: string) => void): Promise<void> {
  const { positionals, values } = parsed(args);
  const [noun, verb, argument] = positionals;
  const named = (what: string): string => {
    if (argument === undefined || positionals.length > 3) throw new UsageError(`${noun} ${verb} needs ${what}, and nothing else`);
    return argument;
  };
  const organization = await organizationOf(values.organization, stores);
  const principal = { organization, project: '' };
  const show = (cells: unknown[]) => print(cells.map((cell) => cell ?? '-').join('\t'));
  const record = (type: string, objectId: string, projectId: string | null = null, organizationId = organization) =>
    stores.audit.add({ organizationId, projectId, keyId: 'command_line', serviceAccountId: null, type, ...FROM_HERE, objectId });

  const commands: Record<string, () => Promise<void>> = {
    async 'organizations create'() {
      const { id, defaultProjectId } = await stores.organizations.create(named('a NAME'));
      await record('organization.created', id, null, id);
      show([id, `default project ${defaultProjectId}`]);
    },
    async 'organizations list'() {
      for (const { id, name, defaultProjectId } of await stores.organizations.list()) show([id, name, `default project ${defaultProjectId}`]);
    },
    async 'projects create'() {
      const { id } = await stores.projects.create(organization, { name: named('a NAME') });
      await record('project.created', id, id);
      show([id]);
    },
    async 'projects list'() {
      const { data } = await stores.projects.list(organization, { limit: MAX_SHOWN, order: 'asc', withArchived: true });
      for (const { id, name, archivedAt } of data) show([id, name, archivedAt === null ? 'active' : 'archived']);
    },
    async 'projects archive'() {
      const { id } = await archiveProject(principal, named('the ID of a project'), stores);
      await record('project.archived', id, id);
      show([id, 'archived']);
    },
    async 'projects limits'() {
      const id = named('the ID of a project');
      const changes = changedLimits(values);
      const isChanged = Object.keys(changes).length > 0;
      const project = isChanged ? await updateProject(principal, id, changes, stores) : await findProject(principal, id, stores);
      if (isChanged) await record('project.updated', id, id);
      for (const [option, limit] of Object.entries(LIMITS)) show([option, project[limit] ?? 'none']);
    },
    async 'keys create'() {
      const owner = await ownerOf();
      if ((owner.projectId === null) !== (values.admin === true)) throw new UsageError('keys create needs either --project ID or --admin');
      if (owner.projectId !== null) await findActiveProject(principal, owner.projectId, stores);
      const allowed = owner.projectId === null ? SCOPES : PROJECT_SCOPES;
      const { key, value } = await createKey(
        owner,
        {
          name: named('a NAME'),
          scopes: scopesIn(values.scopes, allowed),
          expiresInSeconds: values['expires-days'] === undefined ? null : numberIn('expires-days', values['expires-days']) * 24 * 3600,
          requestsPerMinute: changedLimits(values).requestsPerMinute ?? null,
        },
        stores,
      );
      await record('api_key.created', key.id, key.projectId);
      show([key.id, value]);
    },
    async 'keys list'() {
      const { data } = await stores.keys.list(await ownerOf(), { limit: MAX_SHOWN, order: 'asc' });
      for (const key of data) show(keyCells(key));
    },
    async 'keys revoke'() {
      const owner = await ownerOf();
      const id = named('the ID of a key');
      if (!(await stores.keys.revoke(owner, id)))
        throw new Refusal('api_key_not_found', `There is no key "${id}"`, {
          hint: 'Name its project with --project, or leave that out for a key of the organization.',
        });
      await record('api_key.deleted', id, owner.projectId);
      show([id, 'revoked']);
    },
  };
  const command = commands[`${noun} ${verb}`];
  if (command === undefined) throw new UsageError(noun === undefined ? '' : `There is no command "${positionals.join(' ')}"`);
  await command();

  async function ownerOf(): Promise<KeyOwner> {
    const projectId = values.project === undefined ? null : (await findProject(principal, values.project, stores)).id;
    return { organizationId: organization, projectId };
  }
}

/** What the audit log shows where a change by the API has its request. */
const FROM_HERE = { method: 'COMMAND', route: 'npm run accounts', status: 200, ipAddress: 'the machine of the service' };

const keyCells = ({ id, name, redacted, scopes, expiresAt, lastUsedAt }: StoredKey): unknown[] => [
  id,
  name,
  redacted,
  scopes.join(','),
  `expires ${expiresAt?.toISOString() ?? 'never'}`,
  `last used ${lastUsedAt?.toISOString() ?? 'never'}`,
];

function parsed(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function organizationOf(id: string | undefined, { organizations }: Stores): Promise<string> {
  if (id === undefined) return DEFAULT_ORGANIZATION;
  if ((await organizations.find(id)) !== null) return id;
  throw new Refusal('not_found', `There is no organization "${id}"`, { hint: '"organizations list" shows them.' });
}

function changedLimits(values: Record<string, string | boolean | undefined>): Partial<ProjectLimits> {
  const given = Object.entries(LIMITS).filter(([option]) => typeof values[option] === 'string');
  return Object.fromEntries(given.map(([option, limit]) => [limit, values[option] === 'none' ? null : numberIn(option, String(values[option]))]));
}

/** Ten years, as in the API, and the largest number that JSON carries exactly. All other numbers must fit an integer column. */
const LARGEST: Record<string, number> = { 'expires-days': 3650, 'max-bytes': Number.MAX_SAFE_INTEGER, 'max-tokens-per-day': Number.MAX_SAFE_INTEGER };

function numberIn(option: string, text: string): number {
  const value = Number(text);
  const largest = LARGEST[option] ?? NO_RATE_LIMIT;
  if (!Number.isInteger(value) || value < 0 || value > largest)
    throw new UsageError(`--${option} is "${text}"; it must be a whole number from 0 to ${largest}`);
  return value;
}

function scopesIn(text: string | undefined, allowed: readonly Scope[]): readonly Scope[] {
  if (text === undefined) return allowed;
  const scopes = text.split(',');
  const wrong = scopes.filter((scope) => !(allowed as readonly string[]).includes(scope));
  if (wrong.length > 0) throw new UsageError(`--scopes has "${wrong.join('", "')}"; it may have ${allowed.join(', ')}`);
  return [...new Set(scopes as Scope[])];
}
