import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isStorable, storable } from '../../src/database/storable.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import { newEventId } from '../../src/ids.ts';
import { type JobRecord, openJobRecord } from '../../src/jobs/record-store.ts';
import { type JobStore, openJobStore } from '../../src/jobs/store.ts';
import { openReportStore } from '../../src/reports/store.ts';
import { newJob } from '../jobs/new-job.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from './embedded-database.ts';

/** NUL, a lone high surrogate, a lone low surrogate, and a whole emoji, which stays. */
const bad = 'a\0b \ud83d c \udf31 d 🌱';
const cleaned = 'a\\u0000b \\ud83d c \\udf31 d 🌱';

describe('storable', () => {
  it('replaces NUL and lone surrogates in strings at any depth and in keys', () => {
    const value = { [bad]: bad, list: [1, bad, { deep: [bad] }], fine: 'fine' };
    expect(storable(value)).toEqual({ [cleaned]: cleaned, list: [1, cleaned, { deep: [cleaned] }], fine: 'fine' });
    expect(isStorable(bad)).toBe(false);
    expect(isStorable(cleaned)).toBe(true);
  });

  it('returns the same object, not a copy, if nothing has to be replaced', () => {
    const value = { text: 'Grüße 🌱', list: [{ a: [1, Number.NaN, null, undefined, true] }], big: 1n };
    expect(storable(value)).toBe(value);
  });

  it('copies only the branch that changes, and leaves its input unchanged', () => {
    const kept = { a: ['b'] };
    const value = { kept, changed: { text: 'x\0' } };
    const result = storable(value);
    expect(result.kept).toBe(kept);
    expect(result.changed).toEqual({ text: 'x\\u0000' });
    expect(value.changed.text).toBe('x\0');
  });

  it('leaves dates, bytes and class instances as they are', () => {
    class Value {
      text = 'x\0';
    }
    const value = { date: new Date(0), bytes: new Uint8Array([0]), instance: new Value() };
    const result = storable({ ...value, text: bad });
    for (const key of ['date', 'bytes', 'instance'] as const) expect(result[key]).toBe(value[key]);
  });

  it('treats __proto__ as an ordinary key', () => {
    const result = storable(JSON.parse('{"__proto__": {"admin": "x\\u0000"}}'));
    expect(Object.keys(result)).toEqual(['__proto__']);
    expect(result.admin).toBeUndefined();
  });
});

describe('the database', () => {
  let embedded: EmbeddedDatabase;
  let jobs: JobStore;
  let jobRecord: JobRecord;
  beforeAll(async () => {
    embedded = await openEmbeddedDatabase();
    jobs = openJobStore(embedded.database);
    jobRecord = openJobRecord(embedded.database);
  });
  afterAll(() => embedded.close());

  const makeJob = async (metadata: Record<string, string> | null = null) => (await jobs.create('acme', newJob({ metadata }))).job;

  it('stores events, errors and metadata with such characters replaced', async () => {
    const { id } = await makeJob({ [bad]: bad });
    await jobRecord.appendEvent(id, { level: 'error', message: bad, data: { [bad]: [bad] } });
    const error = { code: 'internal_error', message: bad, param: null };
    expect(await jobs.move(id, 'fail', { patch: { error } })).toMatchObject({ status: 'failed', error: { ...error, message: cleaned } });
    expect((await jobs.findAny(id))!.metadata).toEqual({ [cleaned]: cleaned });
    expect((await jobRecord.events('acme', id, { limit: 1 })).data[0]).toMatchObject({ message: cleaned, data: { [cleaned]: [cleaned] } });
  });

  it('is queried only for what it can hold', async () => {
    const { id } = await makeJob({ team: bad });
    expect((await jobs.list('acme', { limit: 10, metadata: { team: bad } })).data.map((job) => job.id)).toEqual([id]);
    expect(await jobs.findAny(`${id}\0`)).toBeNull();
  });

  it('stores a report, which is written in a transaction, with such characters replaced', async () => {
    const { id } = await makeJob();
    const { attempt } = (await jobs.claim(id, 'worker'))!;
    const reports = openReportStore(embedded.database);
    const receipt = { object: 'fine_tuning.job.receipt', template: bad } as unknown as TokenReceipt;
    expect(await reports.put({ id, attempt }, 'receipt', receipt)).toBe(true);
    expect(await reports.find('acme', id, 'receipt')).toEqual({ ...receipt, template: cleaned });
  });

  it('stores every text and JSON column of every table with such characters replaced', async () => {
    const { database } = embedded;
    const text = (what: string) => `${what} ${bad}`;
    const json = { [bad]: [bad] };
    const id = (await makeJob()).id;
    await database.file.create({
      data: { id: text('id'), owner: bad, filename: bad, purpose: bad, sizeBytes: 1, sha256: bad, status: bad, statusDetails: bad, storageKey: bad },
    });
    await database.fileValidation.create({ data: { fileId: text('id'), source: json, claimedBy: bad, content: json } });
    await database.upload.create({
      data: {
        id: text('id'),
        owner: bad,
        filename: bad,
        mimeType: bad,
        purpose: bad,
        sizeBytes: 1,
        status: bad,
        fileId: bad,
        source: json,
        partIds: [bad],
        expiresAt: new Date(),
      },
    });
    await database.uploadPart.create({ data: { id: text('id'), uploadId: text('id'), sizeBytes: 1 } });
    const textsOfJob = {
      owner: bad,
      organization: bad,
      model: bad,
      modelRevision: bad,
      traceParent: bad,
      trainingFileId: bad,
      validationFileId: bad,
      evaluationFileId: bad,
      retentionFileId: bad,
      suffix: bad,
    };
    const jsonOfJob = {
      method: json,
      hyperparameters: json,
      resolved: json,
      tuning: json,
      startFrom: json,
      metadata: json,
      integrations: json,
      facts: json,
      error: json,
      samplePrompts: json,
      evaluations: json,
    };
    const rest = {
      seed: 1,
      fineTunedModel: bad,
      adapterFolder: bad,
      waitingFor: bad,
      workerId: bad,
      idempotencyKey: bad,
      sweepId: text('id'),
      requestSha256: bad,
      resultFileIds: [bad, bad],
    };
    await database.sweep.create({
      data: {
        id: text('id'),
        owner: bad,
        organization: bad,
        status: bad,
        request: bad,
        seed: 1,
        trials: [json],
        refused: json,
        rungs: [json],
        waitingFor: bad,
        outcome: json,
      },
    });
    await database.job.create({ data: { id: text('id'), ...textsOfJob, ...jsonOfJob, ...rest } });
    await database.jobEvent.create({ data: { id: text('id'), jobId: text('id'), level: bad, message: bad, type: bad, data: json } });
    await database.integrationRun.create({ data: { jobId: text('id'), position: 0, type: bad, status: bad, runId: bad, latest: json } });
    await database.stepMetric.create({ data: { jobId: text('id'), step: 1, metrics: json } });
    await database.checkpoint.create({
      data: { id: text('id'), jobId: text('id'), step: 1, name: bad, folder: bad, metrics: json, files: json, problem: bad },
    });
    await database.webhookEndpoint.create({
      data: { id: text('id'), owner: bad, name: bad, url: bad, eventTypes: [bad], secret: bad, secretHint: bad, oldSecret: bad },
    });
    await database.webhookDelivery.create({
      data: { id: text('id'), endpointId: text('id'), eventId: bad, eventType: bad, subjectId: bad, status: bad, attempts: [json] },
    });
    await database.checkpointPermission.create({ data: { id: text('id'), owner: bad, jobId: text('id'), model: bad, projectId: bad } });
    await database.export.create({
      data: {
        id: text('id'),
        owner: bad,
        jobId: text('id'),
        model: bad,
        source: json,
        format: bad,
        dtype: bad,
        status: bad,
        warnings: [bad],
        proof: json,
        hub: json,
        hubToken: bad,
        vllmName: bad,
        error: json,
        folder: bad,
        files: json,
        workerId: bad,
      },
    });
    await database.exportEvent.create({ data: { id: text('id'), exportId: text('id'), level: bad, message: bad } });
    await database.jobReport.create({ data: { jobId: text('id'), kind: bad, content: json } });
    await database.jobSample.create({ data: { id: text('id'), jobId: text('id'), step: 1, prompt: 0, text: bad, tokens: 1, finishReason: bad } });
    await database.turn.create({ data: { project: bad } });
    await database.worker.create({ data: { id: text('id'), hostname: bad, device: bad } });
    await database.baseModel.create({
      data: { workerId: text('id'), modelId: bad, family: bad, parameters: 1, sizeBytes: 1, revision: bad, config: bad },
    });
    const [organizationId, projectId, serviceAccountId] = [text('organization'), text('project'), text('service account')];
    await database.organization.create({ data: { id: organizationId, name: bad, defaultProjectId: bad } });
    await database.project.create({ data: { id: projectId, organizationId, name: bad } });
    await database.serviceAccount.create({ data: { id: serviceAccountId, projectId, name: bad } });
    const key = { organizationId, projectId, serviceAccountId, name: bad, sha256: bad, redacted: bad, scopes: [bad, bad] };
    await database.apiKey.create({ data: { id: text('id'), ...key } });
    const done = { type: bad, method: bad, route: bad, objectId: bad, status: 200, ipAddress: bad };
    await database.auditEntry.create({ data: { id: text('id'), organizationId: bad, projectId: bad, keyId: bad, serviceAccountId: bad, ...done } });
    await database.tokenUsage.create({ data: { projectId: bad, day: new Date(), tokens: 1 } });

    await database.repeatableRequest.create({ data: { owner: bad, keySha256: bad, claim: bad, route: bad, bodySha256: bad, answer: bad } });
    await database.tombstone.create({ data: { scope: bad, id: text('id'), createdAt: new Date() } });

    const columns = await database.$queryRaw<{ table: string; column: string }[]>`
      SELECT table_name AS table, column_name AS column FROM information_schema.columns
      WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%' AND data_type IN ('text', 'jsonb', 'ARRAY')`;
    expect(columns.length).toBeGreaterThan(40);
    const client = new pg.Client({ connectionString: embedded.databaseUrl });
    await client.connect();
    const missing = [];
    for (const { table, column } of columns) {
      // As text, JSON and arrays show each backslash twice.
      const { rows } = await client.query(`SELECT 1 FROM ${table} WHERE position($1 IN replace("${column}"::text, '\\\\', '\\')) > 0`, [cleaned]);
      if (rows.length === 0) missing.push(`${table}.${column}`);
    }
    await client.end();
    expect(missing).toEqual([]);
    expect((await jobs.findAny(id))!.status).toBe('validating_files');
  });

  it('replaces them in both kinds of transaction', async () => {
    const { database } = embedded;
    const { id: jobId } = await makeJob();
    const event = (message: string) => ({ id: newEventId(), jobId, level: 'info', type: 'message', message });
    await database.$transaction((tx) => tx.jobEvent.create({ data: event('one \0') }));
    await database.$transaction([database.jobEvent.createMany({ data: [event('two \ud83d'), event('three')] })]);
    const messages = (await jobRecord.news(jobId, { after: 0n, limit: 10 })).events.map(({ message }) => message);
    expect(messages).toEqual(['one \\u0000', 'two \\ud83d', 'three']);
  });
});
