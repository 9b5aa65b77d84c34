import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { newDeliveryId, newEndpointId, newWebhookEventId } from '../ids.ts';
import type { Services } from '../services.ts';
import type { Endpoint } from './endpoint-store.ts';
import { type EventType, eventBody } from './events.ts';
import type { CreateEndpoint, UpdateEndpoint } from './schema.ts';
import { sendOnce } from './send.ts';
import { newSigningSecret, secretHint } from './signature.ts';
import { checkWebhookUrl } from './url.ts';

/** Each end of a job is a request to each of them. Two requests at the same moment may pass it by one, which does no harm. */
const MAX_ENDPOINTS = 20;
/** What a sample event is about: no job has this id. */
const SAMPLE_JOB_ID = 'ftjob-sample';

type Needs = Pick<Services, 'config' | 'webhooks' | 'secrets'>;

/** An endpoint, and its secret, which is shown this once. */
interface WithSecret {
  endpoint: Endpoint;
  signingSecret: string;
}

/** @throws Refusal */
export async function createEndpoint({ project }: Principal, body: CreateEndpoint, { config, webhooks, secrets }: Needs): Promise<WithSecret> {
  checkWebhookUrl(body.url, config.hub.privateHosts);
  if ((await webhooks.count(project)) >= MAX_ENDPOINTS)
    throw new Refusal('too_many_webhook_endpoints', `The project has ${MAX_ENDPOINTS} webhook endpoints, which is the limit`, {
      hint: 'Delete one, or let one endpoint receive several event types.',
    });
  const id = newEndpointId();
  const signingSecret = newSigningSecret();
  const secret = await secrets.seal(signingSecret, id);
  const { name, url, event_types: eventTypes } = body;
  const endpoint = await webhooks.create(project, { id, name, url, eventTypes, secret, secretHint: secretHint(signingSecret) });
  return { endpoint, signingSecret };
}

/** @throws Refusal webhook_endpoint_not_found */
export async function findEndpoint({ project }: Principal, id: string, { webhooks }: Pick<Needs, 'webhooks'>): Promise<Endpoint> {
  return (await webhooks.find(project, id)) ?? notFound(id);
}

/** An update that changes nothing leaves `updated_at` as it is. One that names the URL enables the endpoint again. @throws Refusal */
export async function updateEndpoint(principal: Principal, id: string, body: UpdateEndpoint, services: Needs): Promise<Endpoint> {
  const before = await findEndpoint(principal, id, services);
  if (body.url !== undefined) checkWebhookUrl(body.url, services.config.hub.privateHosts);
  const changed = {
    ...(body.name !== undefined && body.name !== before.name && { name: body.name }),
    ...(body.url !== undefined && body.url !== before.url && { url: body.url }),
    ...(body.url !== undefined && before.disabledAt !== null && { disabledAt: null }),
    ...(body.event_types !== undefined && !sameSet(body.event_types, before.eventTypes) && { eventTypes: body.event_types }),
  };
  if (Object.keys(changed).length === 0) return before;
  return (await services.webhooks.update(principal.project, id, changed)) ?? notFound(id);
}

/** @throws Refusal */
export async function deleteEndpoint({ project }: Principal, id: string, { webhooks }: Needs): Promise<void> {
  if (!(await webhooks.delete(project, id))) notFound(id);
}

/** @param keepOld whether the old secret signs too for a day. @throws Refusal */
export async function rotateSecret(principal: Principal, id: string, keepOld: boolean, services: Needs): Promise<WithSecret> {
  const { webhooks, secrets } = services;
  const before = await findEndpoint(principal, id, services);
  const signingSecret = newSigningSecret();
  const next = { secret: await secrets.seal(signingSecret, id), secretHint: secretHint(signingSecret), keepOld };
  return { endpoint: (await webhooks.rotate(principal.project, before, next)) ?? notFound(id), signingSecret };
}

/** Sends a sample event, once. @returns the receiver's status. @throws Refusal when there was no answer */
export async function testEndpoint(principal: Principal, id: string, type: EventType, services: Needs): Promise<number> {
  const endpoint = await findEndpoint(principal, id, services);
  const body = eventBody({ id: newWebhookEventId(), type, createdAt: new Date(), subjectId: SAMPLE_JOB_ID });
  const { status_code, error } = await sendOnce(endpoint, { id: newDeliveryId(), body }, services);
  if (status_code !== null) return status_code;
  throw new Refusal('webhook_endpoint_unreachable', `The sample event could not be delivered to ${new URL(endpoint.url).host}: ${error}`, {
    hint: 'Check that the receiver runs and that this machine can reach it.',
  });
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((item) => b.includes(item));

function notFound(id: string): never {
  throw new Refusal('webhook_endpoint_not_found', `There is no webhook endpoint "${id}"`, {
    param: 'webhook_endpoint_id',
    hint: 'GET /v1/webhook_endpoints lists them.',
  });
}
