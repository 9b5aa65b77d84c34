/** Walks the whole OpenAPI document: what one project or organization has does not exist for another. */
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from '../../src/api-keys/create.ts';
import { type JsonObject, operationsOf } from '../../src/http/openapi/rewrite.ts';
import { describedModel } from '../models/described-model.ts';
import { API_KEY, type FakeWorker, fakeWorker, type RunningService, refusal, runService } from '../running-service.ts';
import { type Body, bodies, bodiesWithoutNames, json, makeOneOfEverything, type Owned } from './one-of-everything.ts';

type Headers = Record<string, string>;

interface Operation {
  id: string;
  method: string;
  path: string;
  parameters: string[];
  query: string[];
  takesBody: boolean;
}

let service: RunningService;
let operations: Operation[];
let owned: Owned;
let owner: Headers;
/** Its model can be estimated. */
let describing: FakeWorker;

beforeAll(async () => {
  service = await runService();
  const { services, app } = service;
  operations = operationsOf(app.swagger() as unknown as JsonObject).map(({ path, method, operation }) => {
    const named = (place: string) =>
      ((operation['parameters'] ?? []) as JsonObject[]).filter((one) => one['in'] === place).map((one) => String(one['name']));
    const takesBody = operation['requestBody'] !== undefined;
    return { id: String(operation['operationId']), method: method.toUpperCase(), path, parameters: named('path'), query: named('query'), takesBody };
  });
  const identity = { id: 'worker-other', hostname: 'here', device: 'CPU', memoryBytes: 2 ** 30 };
  describing = fakeWorker(services, identity, [describedModel('described')]);
  await describing.announce();
  const project = await services.projects.create('graft', { name: 'Owner' });
  owner = { authorization: `Bearer ${API_KEY}`, 'openai-project': project.id };
  owned = await makeOneOfEverything(service, project.id, owner);
});
afterAll(async () => {
  await describing?.remove();
  await service?.close();
});

/** Headers of callers who have done nothing yet: one of another project of the same organization, and one who administers another organization. */
async function others(): Promise<{ neighbour: Headers; stranger: Headers }> {
  const { services } = service;
  const near = await services.projects.create('graft', { name: 'Neighbour' });
  const nearKey = await createKey({ organizationId: 'graft', projectId: near.id }, { name: 'a', scopes: ['read', 'write'] }, services);
  const far = await services.organizations.create('Far away');
  const farKey = await createKey({ organizationId: far.id, projectId: null }, { name: 'a', scopes: ['read', 'write', 'admin'] }, services);
  return { neighbour: { authorization: `Bearer ${nearKey.value}` }, stranger: { authorization: `Bearer ${farKey.value}` } };
}

type Parameters = Record<string, string>;

/** An id of the same form that nothing has. */
const madeUp = (id: string): string => (id.length < 20 ? id : `${id.slice(0, -4)}none`);

const urlOf = ({ path }: Operation, parameters: Parameters): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parameters[name]!));

function send(operation: Operation, headers: Headers, parameters: Parameters, query = ''): Promise<LightMyRequestResponse> {
  const { payload = '', ...type } = (operation.takesBody && bodies(owned)[operation.id]) || {};
  return service.app.inject({
    method: operation.method as 'GET',
    url: urlOf(operation, parameters) + query,
    headers: { ...headers, ...type },
    ...(payload !== '' && { payload }),
  });
}

const onObjects = () => operations.filter(({ parameters }) => parameters.length > 0);
const isRead = ({ method }: Operation) => method === 'GET';

describe('this test', () => {
  it('knows an object of the owner for every parameter of a path, and a body for every operation that takes one', () => {
    const unknown = operations.flatMap(({ id, parameters, takesBody }) => [
      ...parameters
        .filter((name) => owned.parameters[name] === undefined)
        .map((name) => `${id} has the parameter ${name}: add it to one-of-everything.ts`),
      ...(takesBody && !bodiesWithoutNames.includes(id) && bodies(owned)[id] === undefined
        ? [`${id} takes a body: add it to one-of-everything.ts`]
        : []),
    ]);
    expect(unknown).toEqual([]);
    expect(onObjects().length).toBeGreaterThan(40);
  });
});

describe('what a project owns', () => {
  it('is nowhere to be found by another project or organization, and stays as it was', async () => {
    const before = await everythingRead();
    const callers = Object.entries(await others());
    const wrong: string[] = [];
    for (const operation of onObjects()) {
      // Names and numbers are no one's; ids are made up.
      const made = Object.fromEntries(operation.parameters.map((name) => [name, madeUp(owned.parameters[name]!)]));
      for (const [who, headers] of callers) {
        for (const query of operation.query.includes('stream') ? ['', '?stream=true'] : ['']) {
          const response = await send(operation, headers, owned.parameters, query);
          const answer = `${operation.id}${query} by the ${who}: ${response.statusCode} ${response.body.slice(0, 200)}`;
          const { status, code } = response.statusCode === 200 ? { status: 200, code: '' } : refusal(response);
          // Whatever is there, a project's key administers nothing.
          if (who === 'neighbour' && status === 403 && code === 'missing_scope') continue;
          const unknown = refusal(await send(operation, headers, made, query));
          if (status !== 404 || unknown.status !== 404 || unknown.code !== code) wrong.push(answer);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(await everythingRead()).toEqual(before);
  });

  it('is in no list of theirs, whatever cursor they name', async () => {
    const ids = [...new Set(Object.values(owned.parameters)), ...owned.others].filter((id) => id.length > 12);
    const callers = Object.values(await others());
    const wrong: string[] = [];
    for (const operation of operations.filter((one) => isRead(one) && one.parameters.length === 0)) {
      for (const headers of callers) {
        const queries = ['', ...(operation.query.includes('after') ? ids.map((id) => `?after=${encodeURIComponent(id)}`) : [])];
        for (const query of queries) {
          const response = await send(operation, headers, {}, query);
          // A refused cursor is quoted.
          const seen = response.statusCode === 200 ? ids.filter((id) => response.body.includes(id)) : [];
          if (seen.length > 0) wrong.push(`${operation.id}${query} shows ${seen.join(', ')}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  });

  it('cannot be named in what they create', async () => {
    const { file_id: foreignFile, model } = owned.parameters as { file_id: string; model: string };
    const [, , checkpoint] = owned.others as [string, string, string];
    for (const headers of Object.values(await others())) {
      const created = (id: string, { payload, ...type }: Body) =>
        service.app.inject({ method: 'POST', url: operations.find((one) => one.id === id)!.path, headers: { ...headers, ...type }, payload });
      for (const id of ['createChatCompletion', 'createCompletion', 'createResponse', 'createExport']) {
        const { payload, ...type } = bodies(owned)[id]!;
        for (const foreign of [model, checkpoint, `${model.slice(0, -4)}none`]) {
          const asked = { ...type, payload: payload.replace(model, foreign) };
          expect(refusal(await created(id, asked))).toMatchObject({ status: 404, code: 'model_not_found' });
        }
      }
      const own = (await created('createFile', bodies(owned)['createFile']!)).json<{ id: string }>().id;
      for (const id of ['createFineTuningJob', 'estimateFineTuningJob']) {
        const job = async (body: object) => refusal(await created(id, json({ model: 'described', training_file: own, ...body })));
        expect(await job({ training_file: foreignFile })).toMatchObject({ status: 400, code: 'invalid_training_file' });
        for (const foreign of [model, checkpoint]) expect(await job({ model: foreign })).toMatchObject({ status: 404, code: 'model_not_found' });
        if (id === 'createFineTuningJob')
          expect(await job({ validation_file: foreignFile })).toMatchObject({ status: 400, code: 'invalid_validation_file' });
      }
    }
  });

  it('is all there for the owner, who can do all of it: so nothing of the above was refused for another reason', async () => {
    const atTheEnd = ['deleteFineTuningJob', 'archiveProject'];
    const last = ({ id, method }: Operation) => atTheEnd.indexOf(id) + 1 || (method === 'DELETE' ? 0.5 : 0);
    const inOrder = onObjects().toSorted((a, b) => last(a) - last(b) || b.path.length - a.path.length);
    const wrong: string[] = [];
    for (const operation of inOrder) {
      const response = await send(operation, owner, owned.parameters);
      // The order of the operations is no user's: an upload that has been cancelled cannot be completed.
      if (response.statusCode === 200 || (response.statusCode === 400 && owned.mayBeLate.includes(operation.id))) continue;
      wrong.push(`${operation.id}: ${response.statusCode} ${response.body.slice(0, 200)}`);
    }
    expect(wrong).toEqual([]);
  });
});

/** All that the owner can read, but the times at which keys were last used. */
async function everythingRead(): Promise<Record<string, string>> {
  const read: Record<string, string> = {};
  for (const operation of onObjects().filter(isRead)) {
    const { body } = await send(operation, owner, owned.parameters);
    read[operation.id] = body.replace(/"last_used_at":(\d+|null)/g, '');
  }
  return read;
}
