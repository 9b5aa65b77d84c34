/**
 * The floor that bench:api compares with: Fastify and pg with nothing around them, answering a few requests from the same database with the same JSON.
 * No keys, no log, no limits, no validation. `DATABASE_URL`, `UPLOADS` (a directory); prints its address.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import fastify, { type FastifyReply } from 'fastify';
import pg from 'pg';
import { frameOf } from '../../src/event-streams/feeds.ts';
import { DEFAULT_PROJECT, newEventId, newFileId, newJobId } from '../../src/ids.ts';
import type { JobEvent } from '../../src/jobs/job.ts';
import { asJob, JOB_COLUMNS } from '../../src/jobs/row-store.ts';
import { eventView, jobView } from '../../src/jobs/view.ts';

const { DATABASE_URL = '', UPLOADS = '' } = process.env;
pg.types.setTypeParser(pg.types.builtins.TIMESTAMP, (text) => new Date(`${text.replace(' ', 'T')}Z`));
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const pool = new pg.Pool({ connectionString: DATABASE_URL });
const app = fastify();

const view = (row: Parameters<typeof asJob>[0]) => jobView(asJob(row));
const viewOfOne = (row: Parameters<typeof asJob>[0]) => jobView(asJob(row), null);

app.get('/v1/fine_tuning/jobs/:id', async (request) => {
  const { id } = request.params as { id: string };
  const { rows } = await pool.query(`SELECT ${JOB_COLUMNS} FROM jobs WHERE id = $1 AND owner = $2`, [id, DEFAULT_PROJECT]);
  return viewOfOne(rows[0]);
});

app.get('/v1/fine_tuning/jobs', async (request) => {
  const { limit = '20', 'metadata[team]': team } = request.query as Record<string, string>;
  const filter = team === undefined ? '' : 'AND metadata @> $3';
  const { rows } = await pool.query(`SELECT ${JOB_COLUMNS} FROM jobs WHERE owner = $1 ${filter} ORDER BY created_at DESC, id DESC LIMIT $2`, [
    DEFAULT_PROJECT,
    Number(limit) + 1,
    ...(team === undefined ? [] : [{ team }]),
  ]);
  return { object: 'list', data: rows.slice(0, Number(limit)).map(view), has_more: rows.length > Number(limit) };
});

app.post('/v1/fine_tuning/jobs', async (request) => {
  const body = request.body as { model: string; training_file: string };
  const id = newJobId();
  const client = await pool.connect();
  try {
    await client.query('SELECT id, purpose FROM files WHERE id = $1 AND owner = $2', [body.training_file, DEFAULT_PROJECT]);
    await client.query('BEGIN');
    const { rows } = await client.query(
      `INSERT INTO jobs (id, owner, model, training_file_id, seed, method, hyperparameters, tuning)
       VALUES ($1, $2, $3, $4, 1, '{"type":"supervised"}', '{}', '{"type":"lora"}') RETURNING ${JOB_COLUMNS}`,
      [id, DEFAULT_PROJECT, body.model, body.training_file],
    );
    await client.query(
      `INSERT INTO job_events (id, job_id, level, message, type) VALUES ($1, $3, 'info', 'Created', 'message'), ($2, $3, 'info', 'Validating', 'message')`,
      [newEventId(), newEventId(), id],
    );
    await client.query('COMMIT');
    return view(rows[0]);
  } finally {
    client.release();
  }
});

await app.register(multipart, { limits: { fileSize: 512 * 1024 * 1024 } });
app.post('/v1/files', async (request) => {
  const part = await request.file();
  const id = newFileId();
  const hash = createHash('sha256');
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(part!.file as Readable, counted, createWriteStream(join(UPLOADS, id)));
  await pool.query(`INSERT INTO files (id, owner, filename, purpose, size_bytes, sha256, storage_key) VALUES ($1, $2, $3, 'fine-tune', $4, $5, $1)`, [
    id,
    DEFAULT_PROJECT,
    part!.filename,
    bytes,
    hash.digest('hex'),
  ]);
  return { id, object: 'file', bytes };
});

/** The streams of the only job that is followed. */
const streams = new Set<FastifyReply>();
let last = 0;
const listener = new pg.Client({ connectionString: DATABASE_URL });
await listener.connect();
await listener.query('LISTEN graft_job_events');
listener.on('notification', async ({ payload }) => {
  if (streams.size === 0) return;
  const { rows } = await pool.query<Omit<JobEvent, 'seq'> & { seq: number }>(
    'SELECT id, seq, level, message, type, data, created_at AS "createdAt" FROM job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq',
    [payload, last],
  );
  for (const event of rows) {
    if (event.seq <= last) continue;
    last = event.seq;
    const { text } = frameOf({ seq: BigInt(event.seq) }, eventView({ ...event, seq: BigInt(event.seq) }));
    for (const { raw } of streams) raw.write(text);
  }
});
app.get('/v1/fine_tuning/jobs/:id/events', async (request, reply) => {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
  reply.raw.write('retry: 1000\n\n');
  streams.add(reply);
  request.raw.once('close', () => streams.delete(reply));
});

console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
process.on('SIGTERM', () => process.exit());
