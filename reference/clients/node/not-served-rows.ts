/** What has nothing to do with fine-tuning, or needs answers that were kept, is not served, which the service must say rather than break. */
import { expectRefusal, oneOf } from './matching.ts';
import type { Method } from './methods.ts';
import type { Row } from './setting.ts';

/** Resources of which only a part is served. */
const PARTLY = /^(admin|chat|responses)\./;
const SERVED =
  /^(chat\.completions\.(create|stream|parse|runTools)|responses\.(create|stream|parse))$|^admin\.organization\.(adminAPIKeys|auditLogs|projects(\.(apiKeys|serviceAccounts|serviceAccounts\.apiKeys|rateLimits))?)\.\w+$/;

/** Every name by which a method takes a part of its path. */
const NAMES = [
  'completion_id',
  'project_id',
  'user_id',
  'group_id',
  'role_id',
  'certificate_id',
  'workload_identity_provider_id',
  'workload_identity_provider',
];
const PARAMETERS = Object.fromEntries(NAMES.map((name) => [name, 'none']));

/** There is nothing at that path, or nothing that can be done with that method. */
const REFUSED = { status: oneOf(404, 405), message: /There is no route|is not possible/ };

/** A row for each resource with all its methods: `admin.organization.users.*`. */
export function notServedRows(methods: readonly Method[]): Row[] {
  const resources = new Map<string, Method[]>();
  for (const method of methods) {
    const { name } = method;
    if (!PARTLY.test(name) || SERVED.test(name)) continue;
    const resource = name.replace(/\.\w+$/, '.*');
    resources.set(resource, [...(resources.get(resource) ?? []), method]);
  }
  return [...resources].map(
    ([resource, calls]): Row => [
      resource,
      resource.startsWith('admin.') ? 'is not served, and says so' : 'that works with answers that were kept is not served, and says so',
      async ({ openai }) => {
        for (const { name, call } of calls) {
          await expectRefusal(call('none', PARAMETERS), openai.APIError, REFUSED).catch((error: Error) => {
            throw new Error(`${name}: ${error.message}`);
          });
        }
      },
    ],
  );
}
