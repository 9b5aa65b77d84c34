import { createHmac, randomBytes } from 'node:crypto';
import type OpenAI7 from 'openai7';
import { idsOf } from './ids-of.ts';
import { expectMatch, expectRefusal } from './matching.ts';
import { type Delivery, receiver } from './receiver.ts';
import type { Client, Row, Setting } from './setting.ts';

const ENDPOINT = {
  id: String,
  object: 'webhook_endpoint',
  name: 'rows',
  created_at: Number,
  updated_at: Number,
  event_types: Array.isArray,
  url: String,
};
const EVENTS = ['fine_tuning.job.succeeded', 'fine_tuning.job.failed', 'fine_tuning.job.cancelled'] as const;
type Endpoint = OpenAI7.Webhooks.WebhookEndpointWithSecret;

/** 6.x verifies webhooks but has no methods for their endpoints. */
const create = (client: Client, url: string) =>
  client.post<Endpoint>('/webhook_endpoints', { body: { name: 'rows', url, event_types: [...EVENTS] } });

/** An endpoint that receives, for one row. */
async function withEndpoint(
  { client }: Setting,
  call: (endpoint: Endpoint, next: (matching: (delivery: Delivery) => boolean) => Promise<Delivery>) => Promise<void>,
): Promise<void> {
  const listening = await receiver();
  const endpoint = await create(client, listening.url);
  try {
    await call(endpoint, listening.next);
  } finally {
    await client.delete(`/webhook_endpoints/${endpoint.id}`).catch(() => {});
    await listening.close();
  }
}

/** Signs as Standard Webhooks says, for what no service need be asked. */
function signed(secret: string, body: string, at = Math.floor(Date.now() / 1000)): Record<string, string> {
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
  const signature = createHmac('sha256', key).update(`msg_1.${at}.${body}`).digest('base64');
  return { 'webhook-id': 'msg_1', 'webhook-timestamp': String(at), 'webhook-signature': `v1,${signature}` };
}

export const webhookRows: Row[] = [
  [
    'webhooks.unwrap',
    'of the delivery for a job that was cancelled',
    async (setting) =>
      withEndpoint(setting, async ({ signing_secret }, next) => {
        const { client, newJob } = setting;
        const { id } = await newJob();
        await client.fineTuning.jobs.cancel(id);
        const { body, headers } = await next(({ body }) => body.includes(id));
        const event = await client.webhooks.unwrap(body, headers, signing_secret);
        expectMatch(event, { id: String, object: 'event', type: 'fine_tuning.job.cancelled', created_at: Number, data: { id } });
      }),
  ],
  [
    'webhooks.verifySignature',
    'of a delivery with the right secret, and with another',
    async (setting) =>
      withEndpoint(setting, async ({ signing_secret }, next) => {
        const { client, newJob, openai } = setting;
        const { id } = await newJob();
        await client.fineTuning.jobs.cancel(id);
        const { body, headers } = await next(({ body }) => body.includes(id));
        await client.webhooks.verifySignature(body, headers, signing_secret);
        const other = `whsec_${randomBytes(24).toString('base64')}`;
        await expectRefusal(client.webhooks.verifySignature(body, headers, other), openai.InvalidWebhookSignatureError);
      }),
  ],
  [
    'webhooks.verifySignature',
    'of one that is older than five minutes',
    async ({ client, openai }) => {
      const secret = `whsec_${randomBytes(24).toString('base64')}`;
      const old = signed(secret, '{}', Math.floor(Date.now() / 1000) - 301);
      await client.webhooks.verifySignature('{}', signed(secret, '{}'), secret);
      await expectRefusal(client.webhooks.verifySignature('{}', old, secret), openai.InvalidWebhookSignatureError);
    },
  ],
];

/** What 7.x has more than 6.x. */
export const endpointRows: Row[] = [
  [
    'webhooks.create',
    'with a secret that is shown once',
    async ({ client }) => {
      const endpoint = await client.webhooks.create({ name: 'rows', url: 'https://example.com/hook', event_types: [...EVENTS] });
      expectMatch(endpoint, {
        ...ENDPOINT,
        event_types: [...EVENTS],
        url: 'https://example.com/hook',
        signing_secret: /^whsec_/,
        signing_secret_hint: String,
      });
      expectMatch((await client.webhooks.retrieve(endpoint.id)) as object, { ...ENDPOINT, signing_secret: undefined, signing_secret_hint: String });
      await client.webhooks.delete(endpoint.id);
    },
  ],
  [
    'webhooks.create',
    'for an event that does not happen here',
    async ({ client, openai }) =>
      expectRefusal(
        client.webhooks.create({ name: 'rows', url: 'https://example.com/hook', event_types: ['response.completed'] }),
        openai.BadRequestError,
        { message: /fine_tuning\.job\.succeeded/ },
      ),
  ],
  [
    'webhooks.retrieve',
    'of an endpoint, and of an unknown one',
    async (setting) =>
      withEndpoint(setting, async ({ id, url }) => {
        expectMatch(await setting.client.webhooks.retrieve(id), { ...ENDPOINT, id, url });
        await expectRefusal(setting.client.webhooks.retrieve('we_none'), setting.openai.NotFoundError);
      }),
  ],
  [
    'webhooks.update',
    'of its name and events',
    async (setting) =>
      withEndpoint(setting, async ({ id }) => {
        const updated = await setting.client.webhooks.update(id, { name: 'renamed', event_types: ['fine_tuning.job.failed'] });
        expectMatch(updated, { ...ENDPOINT, id, name: 'renamed', event_types: ['fine_tuning.job.failed'] });
      }),
  ],
  [
    'webhooks.list',
    'in pages of one',
    async (setting) =>
      withEndpoint(setting, async (first) =>
        withEndpoint(setting, async (second) => {
          const ids = await idsOf(setting.client.webhooks.list({ limit: 1 }));
          expectMatch([ids.includes(first.id), ids.includes(second.id)], [true, true]);
        }),
      ),
  ],
  [
    'webhooks.rotateSecret',
    'that keeps the old one active',
    async (setting) =>
      withEndpoint(setting, async ({ id, signing_secret: old }, next) => {
        const { client, newJob } = setting;
        const rotated = await client.webhooks.rotateSecret(id, { keep_old_secret_active_for_24_hours: true });
        expectMatch(rotated, { ...ENDPOINT, id, signing_secret: (secret: unknown) => secret !== old && /^whsec_/.test(String(secret)) });
        const job = await newJob();
        await client.fineTuning.jobs.cancel(job.id);
        const { body, headers } = await next(({ body }) => body.includes(job.id));
        for (const secret of [old, rotated.signing_secret]) await client.webhooks.verifySignature(body, headers, secret);
      }),
  ],
  [
    'webhooks.rotateSecret',
    'that ends the old one',
    async (setting) =>
      withEndpoint(setting, async ({ id, signing_secret: old }, next) => {
        const { client, openai } = setting;
        const { signing_secret } = await client.webhooks.rotateSecret(id);
        const [{ body, headers }] = await Promise.all([next(() => true), client.webhooks.test(id, { event_type: EVENTS[0] })]);
        await client.webhooks.verifySignature(body, headers, signing_secret);
        await expectRefusal(client.webhooks.verifySignature(body, headers, old), openai.InvalidWebhookSignatureError);
      }),
  ],
  [
    'webhooks.test',
    'of an endpoint',
    async (setting) =>
      withEndpoint(setting, async ({ id, signing_secret }, next) => {
        const { client } = setting;
        const [{ body, headers }, result] = await Promise.all([next(() => true), client.webhooks.test(id, { event_type: EVENTS[0] })]);
        expectMatch(result, { object: 'webhook_endpoint.test', event_type: EVENTS[0], status_code: 200, success: true, webhook_endpoint_id: id });
        expectMatch(await client.webhooks.unwrap(body, headers, signing_secret), { object: 'event', type: EVENTS[0] });
      }),
  ],
  [
    'webhooks.delete',
    'of an endpoint',
    async ({ client, openai }) => {
      const { id } = await create(client, 'https://example.com/hook');
      expectMatch(await client.webhooks.delete(id), { id, object: 'webhook_endpoint.deleted', deleted: true });
      await expectRefusal(client.webhooks.retrieve(id), openai.NotFoundError);
    },
  ],
  [
    'webhooks.eventTypes.list',
    'of all that happens here',
    async ({ client }) =>
      expectMatch(await client.webhooks.eventTypes.list(), {
        object: 'list',
        data: (data: unknown) => EVENTS.every((type) => (data as string[]).includes(type)),
      }),
  ],
];
