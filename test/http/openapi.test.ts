import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JsonObject, operationsOf } from '../../src/http/openapi/rewrite.ts';
import { type RunningService, runService } from '../running-service.ts';

let service: RunningService;
let document: JsonObject;
beforeAll(async () => {
  service = await runService();
  document = (await service.app.inject('/docs/json')).json();
});
afterAll(() => service.close());

/** The schemas of parameters, bodies and answers, each once: its JSON, and a reference to where it stands. */
const schemasOf = (value: unknown, pointer = 'openapi#'): [json: string, $ref: string][] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, inside]) => {
        const here = `${pointer}/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`;
        return key === 'schema' ? [[JSON.stringify(inside), here] as [string, string]] : schemasOf(inside, here);
      });

describe('the OpenAPI document', () => {
  it("has no error and no warning by Redocly's recommended rules", async () => {
    const config = await createConfig({ extends: ['recommended'] });
    const problems = await lintFromString({ source: JSON.stringify(document), absoluteRef: 'openapi.json', config });
    expect(problems.map(({ ruleId, message, location }) => `${ruleId} at ${location[0]?.pointer}: ${message}`)).toEqual([]);
  });

  it('names every operation, answer and object of an answer, and says how each operation refuses and fails', () => {
    const tagNames = (document['tags'] as { name: string }[]).map(({ name }) => name);
    for (const { path, method, operation } of operationsOf(document)) {
      const { operationId, summary, tags } = operation;
      const responses = operation['responses'] as Record<string, JsonObject>;
      expect({ path, method, operationId, summary, tags }).toEqual({
        path,
        method,
        operationId: expect.stringMatching(/^[a-z][A-Za-z]+$/),
        summary: expect.any(String),
        tags: [expect.toBeOneOf(tagNames)],
      });
      expect(Object.keys(responses), `${method} ${path}`).toEqual(expect.arrayContaining(['200', '4XX', '5XX']));
      const json = (responses['200']!['content'] as Record<string, { schema: JsonObject }>)['application/json'];
      if (json !== undefined)
        expect(json.schema, `the answer of ${method} ${path}`).toEqual({ $ref: expect.stringMatching(/^#\/components\/schemas\//) });
    }
  });

  it('has only schemas that compile, which the service does at the first request that needs one', () => {
    const ajv = new Ajv({ strict: false, formats: { binary: true } });
    (addFormats as unknown as (ajv: Ajv) => void)(ajv);
    ajv.addSchema(document, 'openapi');
    const schemas = new Map(schemasOf(document));
    expect(schemas.size).toBeGreaterThan(100);
    for (const $ref of schemas.values()) expect(() => ajv.compile({ $ref }), $ref).not.toThrow();
  });

  it('describes an upload as a multipart body with a file, and downloads as bytes', () => {
    const { paths, components } = document as unknown as {
      paths: Record<string, Record<string, never>>;
      components: { schemas: Record<string, JsonObject> };
    };
    expect(paths['/v1/files']!['post']!['requestBody']).toEqual({
      required: true,
      content: { 'multipart/form-data': { schema: { $ref: '#/components/schemas/CreateFile' } } },
    });
    expect(components.schemas['CreateFile']!['properties']).toMatchObject({ file: { type: 'string', format: 'binary' } });
    const content = (path: string) => Object.keys(paths[path]!['get']!['responses']!['200']!['content']!);
    expect(content('/v1/files/{file_id}/content')).toEqual(['application/octet-stream']);
    expect(content('/v1/fine_tuning/jobs/{job_id}/adapter')).toEqual(['application/x-tar', 'application/zip']);
    expect(content('/v1/fine_tuning/jobs/{job_id}/events')).toEqual(['application/json', 'text/event-stream']);
  });
});
