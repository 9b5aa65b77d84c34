import Type from 'typebox';
import { nullable } from '../formats/nullable.ts';
import { literals, oneOf } from '../formats/one-of.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import { type Delivery, deliveryStatuses } from './delivery-store.ts';
import type { Endpoint } from './endpoint-store.ts';
import { EVENT_TYPES } from './events.ts';

/** Longer than any name that a person reads. */
const MAX_NAME_LENGTH = 256;
/** What browsers and proxies take. */
const MAX_URL_LENGTH = 2048;

const EventType = literals(EVENT_TYPES);
const name = Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH, description: 'For people.' });
const url = Type.String({
  minLength: 1,
  maxLength: MAX_URL_LENGTH,
  description: 'Where events are sent: https, or http where the operator allows the host.',
});
const eventTypes = Type.Array(EventType, { minItems: 1, uniqueItems: true, description: 'All that the endpoint is told of.' });

export const CreateEndpoint = Type.Object(
  { name, url, event_types: eventTypes },
  {
    additionalProperties: false,
    title: 'CreateWebhookEndpoint',
    examples: [{ name: 'ends', url: 'https://example.com/hook', event_types: ['fine_tuning.job.succeeded'] }],
  },
);
export type CreateEndpoint = Type.Static<typeof CreateEndpoint>;

export const UpdateEndpoint = Type.Object(
  { name: Type.Optional(name), url: Type.Optional(url), event_types: Type.Optional(eventTypes) },
  {
    additionalProperties: false,
    title: 'UpdateWebhookEndpoint',
    examples: [{ event_types: ['fine_tuning.job.succeeded', 'fine_tuning.job.failed'] }],
  },
);
export type UpdateEndpoint = Type.Static<typeof UpdateEndpoint>;

export const RotateSecret = Type.Object(
  {
    keep_old_secret_active_for_24_hours: Type.Optional(
      Type.Boolean({ default: false, description: 'Meanwhile events are signed with both. Without it, the old secret stops signing at once.' }),
    ),
  },
  { additionalProperties: false, title: 'RotateWebhookSecret', examples: [{ keep_old_secret_active_for_24_hours: true }] },
);

export const TestEndpoint = Type.Object({ event_type: EventType }, { additionalProperties: false, title: 'TestWebhookEndpoint' });

const endpointFields = {
  id: Type.String(),
  object: Type.Literal('webhook_endpoint'),
  created_at: Type.Integer(),
  updated_at: Type.Integer({ description: 'When its configuration or secret last changed.' }),
  name: Type.String(),
  url: Type.String(),
  event_types: Type.Array(oneOf(EVENT_TYPES)),
  signing_secret_hint: nullable(Type.String()),
  disabled_at: nullable(
    Type.Integer({
      description: 'When the receiver answered 410 Gone: nothing is sent since then. An update that names the `url` enables it again.',
    }),
  ),
};
export const EndpointObject = Type.Object(endpointFields, { title: 'WebhookEndpoint' });
export const EndpointWithSecret = Type.Object(
  { ...endpointFields, signing_secret: Type.String({ description: 'Shown only here.' }) },
  { title: 'WebhookEndpointWithSecret' },
);
export const EndpointList = cursorListOf(EndpointObject);
export const EndpointDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('webhook_endpoint.deleted'), deleted: Type.Boolean() },
  { title: 'WebhookEndpointDeleted' },
);
export const TestResult = Type.Object(
  {
    object: Type.Literal('webhook_endpoint.test'),
    webhook_endpoint_id: Type.String(),
    event_type: Type.String(),
    status_code: Type.Integer({ description: "The receiver's answer." }),
    success: Type.Literal(true),
  },
  { title: 'WebhookEndpointTestResult' },
);
export const EventTypeList = Type.Object({ object: Type.Literal('list'), data: Type.Array(oneOf(EVENT_TYPES)) }, { title: 'WebhookEventTypeList' });

export const DeliveryObject = Type.Object(
  {
    id: Type.String({ description: 'The `webhook-id` of every attempt.' }),
    object: Type.Literal('webhook_endpoint.delivery'),
    created_at: Type.Integer(),
    event: Type.Object({ id: Type.String(), type: oneOf(EVENT_TYPES), data: Type.Object({ id: Type.String({ description: "The job's id." }) }) }),
    status: oneOf(deliveryStatuses),
    next_attempt_at: nullable(Type.Integer()),
    attempts: Type.Array(
      Type.Object({
        at: Type.String({ format: 'date-time' }),
        status_code: nullable(Type.Integer({ description: 'null when there was no answer.' })),
        duration_ms: Type.Integer(),
        error: nullable(Type.String()),
      }),
      { description: 'Those that have ended, the oldest first.' },
    ),
  },
  { title: 'WebhookDelivery' },
);
export const DeliveryList = cursorListOf(DeliveryObject);

export const EndpointParams = Type.Object({ webhook_endpoint_id: Type.String() });
export const PageQuery = Type.Object({ after, limit: limit(20) }, { additionalProperties: false });

export const endpointView = (endpoint: Endpoint): Type.Static<typeof EndpointObject> => ({
  id: endpoint.id,
  object: 'webhook_endpoint',
  created_at: unixSeconds(endpoint.createdAt),
  updated_at: unixSeconds(endpoint.updatedAt),
  name: endpoint.name,
  url: endpoint.url,
  event_types: endpoint.eventTypes,
  signing_secret_hint: endpoint.secretHint,
  disabled_at: endpoint.disabledAt && unixSeconds(endpoint.disabledAt),
});

export const deliveryView = (delivery: Delivery): Type.Static<typeof DeliveryObject> => ({
  id: delivery.id,
  object: 'webhook_endpoint.delivery',
  created_at: unixSeconds(delivery.createdAt),
  event: { id: delivery.eventId, type: delivery.eventType, data: { id: delivery.subjectId } },
  status: delivery.status,
  next_attempt_at: delivery.nextAttemptAt && unixSeconds(delivery.nextAttemptAt),
  attempts: delivery.attempts,
});
