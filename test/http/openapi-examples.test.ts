import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, type JsonObject, operationsOf } from '../../src/http/openapi/rewrite.ts';
import { echoingWorker } from '../chat/echoing-worker.ts';
import { storeTunedModel } from '../exports/tuned-model.ts';
import { describedModel } from '../models/described-model.ts';
import { type RunningService, runService } from '../running-service.ts';

/** As many bytes as the example of an upload says. */
const DATASET = '{"prompt":"a","completion":"b"}\n';

let service: RunningService;
let document: JsonObject;
let answering: ReturnType<typeof echoingWorker>;
beforeAll(async () => {
  service = await runService();
  await service.services.models.announce({ id: 'worker-described', hostname: 'here', device: 'CPU' }, [describedModel('graft-tiny')]);
  answering = echoingWorker(service.services, 'worker-described');
  document = (await service.inject({ url: '/docs/json' })).json();
});
afterAll(async () => {
  await answering?.close();
  await service?.close();
});

/** The JSON bodies that the document shows for a POST. */
function examplesOf(path: string): JsonObject[] {
  const { operation } = operationsOf(document).find((one) => one.path === path && one.method === 'post') ?? {};
  const { content } = (operation?.['requestBody'] ?? {}) as {
    content?: Record<string, { example?: JsonObject; examples?: Record<string, { value: JsonObject }> }>;
  };
  const { example, examples = {} } = content?.['application/json'] ?? {};
  return [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)];
}

/** Makes what an example names, and puts its id in place of the invented one. */
async function withRealIds(value: Json, uploadPath: string): Promise<Json> {
  if (typeof value === 'string' && value.startsWith('file-')) return service.upload();
  if (typeof value === 'string' && value.startsWith('ft:')) return (await storeTunedModel(service)).model;
  if (typeof value === 'string' && value.startsWith('part_')) return addPart(uploadPath);
  if (Array.isArray(value)) return Promise.all(value.map((item) => withRealIds(item, uploadPath)));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([key, inner]) => [key, await withRealIds(inner, uploadPath)])));
}

async function addPart(uploadPath: string): Promise<string> {
  const body = new FormData();
  body.set('data', new Blob([DATASET]));
  const { headers, body: bytes } = new Request('http://localhost', { method: 'POST', body });
  const payload = Buffer.from(await new Response(bytes).arrayBuffer());
  const url = uploadPath.replace(/\/complete$/, '/parts');
  return (await service.inject({ method: 'POST', url, payload, headers: Object.fromEntries(headers) })).json().id;
}

/** Replaces each parameter of a path by the id of something that the collection before it has: made from that collection's example, or listed. */
async function withRealParameters(path: string): Promise<string> {
  let real = '';
  let template = '';
  for (const part of path.split('/').slice(1)) {
    real += `/${part.startsWith('{') ? encodeURIComponent(await idIn(template, real)) : part}`;
    template += `/${part}`;
  }
  return real;
}

async function idIn(template: string, url: string): Promise<string> {
  const [example] = examplesOf(template);
  const found = example === undefined ? (await service.inject({ url })).json().data[0] : (await post(url, example)).json();
  expect(found, `something in ${template}`).toMatchObject({ id: expect.any(String) });
  return found.id;
}

const post = async (url: string, example: JsonObject) => service.post(url, await withRealIds(example, url));

/** Bodies without an example: a receiver that answers, and a trained model with a second project, are more than an example can bring. */
const WITHOUT = ['/v1/fine_tuning/checkpoints/{fine_tuned_model_checkpoint}/permissions', '/v1/webhook_endpoints/{webhook_endpoint_id}/test'];

describe('every example of a JSON body in the OpenAPI document', () => {
  it('gets a 200 when it is posted, with the ids of what exists', async () => {
    const paths = operationsOf(document).flatMap(({ path, method }) => (method === 'post' && examplesOf(path).length > 0 ? [path] : []));
    const bodies = operationsOf(document).filter(({ operation }) => JSON.stringify(operation['requestBody'] ?? {}).includes('"application/json"'));
    expect(paths.sort()).toEqual([...new Set(bodies.map(({ path }) => path))].filter((path) => !WITHOUT.includes(path)).sort());
    for (const path of paths) {
      for (const example of examplesOf(path)) {
        const answer = await post(await withRealParameters(path), example);
        expect(answer.statusCode, `${path} ${JSON.stringify(example)}: ${answer.body}`).toBe(200);
      }
    }
  });
});
