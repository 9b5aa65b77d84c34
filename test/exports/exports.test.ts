import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keys } from '../../src/object-store/keys.ts';
import { readSafetensors } from '../../workers/engine/io/safetensors.ts';
import type { RunningWorker } from '../../workers/worker.ts';
import { API_KEY, type RunningService, refusal, runService } from '../running-service.ts';
import { sha256 } from '../sha256.ts';
import { unpackTar } from '../unpack-tar.ts';
import { startWorkerWithoutTraining } from '../worker-without-training.ts';
import { endOfExport } from './end-of-export.ts';
import { readGguf } from './gguf-reader.ts';
import { storeTunedModel } from './tuned-model.ts';

interface ExportBody {
  id: string;
  status: string;
  attempt: number;
  files: { name: string; bytes: number; sha256: string }[];
  warnings: string[];
  proof: { difference: number; passed: boolean } | null;
  error: { code: string } | null;
}

let service: RunningService;
let worker: RunningWorker | undefined;
let model: string;
let jobId: string;

const startExporting = async () => {
  worker = await startWorkerWithoutTraining(service.services);
};

beforeAll(async () => {
  service = await runService({ CHAT_NICE: '0', CHAT_REQUESTS: '0' });
  ({ model, jobId } = await storeTunedModel(service));
});
afterAll(async () => {
  await worker?.stop();
  await service?.close();
});

const create = async (body: object) => (await service.post('/v1/exports', { model, ...body })).json<ExportBody>();
const download = async (id: string, name: string) =>
  (await service.inject({ url: `/v1/exports/${id}/files/${encodeURIComponent(name)}` })).rawPayload;

const ended = (id: string) => endOfExport<ExportBody>(service, id);

/** What an export's events say, oldest first. */
const messagesOf = async (id: string): Promise<string[]> =>
  (await service.inject({ url: `/v1/exports/${id}/events` }))
    .json<{ data: { message: string }[] }>()
    .data.map(({ message }) => message)
    .reverse();

const namesOf = ({ files }: ExportBody) => files.map(({ name }) => name).sort();

describe('an export that waits', () => {
  it('is listed, and can be cancelled and deleted', async () => {
    const { id, status } = await create({ format: 'gguf' });
    expect(status).toBe('queued');
    expect((await service.inject({ url: '/v1/exports?limit=1' })).json().data).toMatchObject([
      { id, model, format: 'gguf', dtype: 'f16', files: [] },
    ]);
    expect(refusal(await service.inject({ url: `/v1/exports/${id}/content` }))).toMatchObject({ status: 400, code: 'export_not_ready' });
    const stream = fetch(`${service.address}/v1/exports/${id}/events?stream=true`, { headers: { authorization: `Bearer ${API_KEY}` } });
    expect((await service.post(`/v1/exports/${id}/cancel`, {})).json()).toMatchObject({ id, status: 'cancelled' });
    const text = await (await stream).text(); // ends with the export
    const [created, cancelled] = [`Created export of ${model}: gguf, f16`, 'The export has been cancelled'];
    expect([...text.matchAll(/^data: (\{.*)/gm)].map(([, data]) => JSON.parse(data!).message)).toEqual([created, cancelled]);
    expect(text).toMatch(/\n\nevent: done\ndata: \[DONE\]\n\n$/);
    const { data, has_more } = (await service.inject({ url: `/v1/exports/${id}/events?limit=1` })).json();
    expect([data, has_more]).toMatchObject([[{ object: 'model.export.event', level: 'info', message: cancelled, type: 'message' }], true]);
    const older = await service.inject({ url: `/v1/exports/${id}/events?after=${data[0].id}` });
    expect(older.json()).toMatchObject({ data: [{ message: created }], has_more: false });
    const unknown = await service.inject({ url: `/v1/exports/${id}/events?stream=true&after=exportevent-none` });
    expect(refusal(unknown)).toMatchObject({ status: 400, code: 'invalid_value', param: 'after' });
    expect((await service.inject({ method: 'DELETE', url: `/v1/exports/${id}` })).json()).toMatchObject({ id, deleted: true });
    expect(refusal(await service.inject({ url: `/v1/exports/${id}` }))).toMatchObject({ status: 404, code: 'export_not_found' });
  });

  it('is refused for a base model, and for a type that its format lacks', async () => {
    const asked = (body: object) => service.post('/v1/exports', body);
    expect(refusal(await asked({ model: 'graft-tiny', format: 'gguf' }))).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    expect(refusal(await asked({ model, format: 'hugging_face', dtype: 'q8_0' }))).toMatchObject({ status: 400, param: 'dtype' });
  });
});

describe('a worker', () => {
  beforeAll(startExporting);

  it('merges the adapter into a Hugging Face directory, whose predictions it compares', async () => {
    const { id } = await create({ format: 'hugging_face', dtype: 'f32' });
    const one = await ended(id);
    expect(one).toMatchObject({ status: 'succeeded', error: null, proof: { passed: true } });
    expect(one.proof!.difference).toBeLessThan(1e-4);
    expect(namesOf(one)).toEqual(expect.arrayContaining(['README.md', 'config.json', 'model.safetensors', 'tokenizer.json', 'chat_template.jinja']));
    expect(await messagesOf(id)).toEqual([
      `Created export of ${model}: hugging_face, f32`,
      'A worker has begun to make the files',
      expect.stringMatching(/^The merged model's logits are those of base and adapter to \d\.\de-\d+, on \d+ texts$/),
      expect.stringMatching(/^The files are made: .*model\.safetensors.* \(\d+\.\d MB\)$/),
      'The export has succeeded',
    ]);
    const card = (await download(id, 'README.md')).toString();
    expect(card).toContain(`# ${model}`);
    expect(card).toContain('pipeline("text-generation"');
    const response = await service.inject({ url: `/v1/exports/${id}/content` });
    const hashes = Object.fromEntries(one.files.map((file) => [file.name, file.sha256]));
    const unpacked = [...(await unpackTar(response.rawPayload))];
    expect(Object.fromEntries(unpacked.map(([name, bytes]) => [name, sha256(bytes)]))).toEqual(hashes);
    const zip = await service.inject({ url: `/v1/exports/${id}/content?format=zip` });
    expect(zip.headers['content-disposition']).toBe(`attachment; filename="${id}.zip"`);
    const unzipped = Object.entries(unzipSync(zip.rawPayload));
    expect(Object.fromEntries(unzipped.map(([name, bytes]) => [name, sha256(Buffer.from(bytes))]))).toEqual(hashes);
  });

  it('writes GGUF with the tokenizer, and a Modelfile with the chat template in the language of Ollama', async () => {
    const { id } = await create({ format: 'gguf', dtype: 'q8_0' });
    const one = await ended(id);
    expect(one).toMatchObject({ status: 'succeeded', warnings: [expect.stringContaining('decimal digits')] });
    expect(namesOf(one)).toEqual(['Modelfile', 'README.md', 'model-q8_0.gguf']);
    const { metadata, tensors, version } = readGguf(await download(id, 'model-q8_0.gguf'));
    expect(version).toBe(3);
    expect(metadata).toMatchObject({
      'general.architecture': 'llama',
      'general.name': model,
      'general.file_type': 7,
      'llama.block_count': 6,
      'llama.attention.head_count_kv': 2,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'smollm',
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.chat_template': expect.stringContaining('<|im_start|>'),
    });
    expect(metadata['tokenizer.ggml.tokens']).toHaveLength(2048);
    expect(tensors.get('blk.0.attn_q.weight')).toMatchObject({ shape: [192, 192], type: 8 });
    expect(tensors.get('blk.5.ffn_norm.weight')).toMatchObject({ shape: [192], type: 0 });
    const modelfile = (await download(id, 'Modelfile')).toString();
    expect(modelfile).toContain('FROM ./model-q8_0.gguf\nTEMPLATE """');
    expect(modelfile).toContain('{{ "<|im_start|>user\\n" }}{{ .Content }}{{ "<|im_end|>\\n" }}');
    expect(modelfile).toContain('PARAMETER stop "<|im_end|>"');
  });

  it('sends a part of a file, and not again what the client has', async () => {
    const [{ id, files }] = (await service.inject({ url: '/v1/exports?limit=1' })).json<{ data: [ExportBody] }>().data;
    const { name, sha256: hash } = files.find((file) => file.name.endsWith('.gguf'))!;
    const url = `/v1/exports/${id}/files/${name}`;
    const part = await service.inject({ url, headers: { range: 'bytes=0-3' } });
    expect([part.statusCode, part.body, part.headers.etag]).toEqual([206, 'GGUF', `"${hash}"`]);
    expect((await service.inject({ url, headers: { 'if-none-match': `"${hash}"` } })).statusCode).toBe(304);
  });

  it('writes the adapter alone for llama.cpp, with the factor that rank-stabilised LoRA has', async () => {
    const { id } = await create({ format: 'gguf_adapter' });
    expect(await ended(id)).toMatchObject({ status: 'succeeded' });
    const { metadata, tensors } = readGguf(await download(id, 'adapter-f32.gguf'));
    // lora_alpha is 2 · r; llama.cpp divides by r, not by its root.
    expect(metadata).toMatchObject({ 'general.type': 'adapter', 'adapter.type': 'lora', 'adapter.lora.alpha': 8 * Math.sqrt(4) });
    expect(tensors.get('blk.0.attn_k.weight.lora_a')).toMatchObject({ shape: [192, 4] });
    expect(tensors.get('blk.0.attn_k.weight.lora_b')).toMatchObject({ shape: [4, 64] });
  });

  it('writes the adapter as mlx-lm reads it', async () => {
    const { id } = await create({ format: 'mlx_adapter' });
    expect(namesOf(await ended(id))).toEqual(['README.md', 'adapter_config.json', 'adapters.safetensors']);
    const config = JSON.parse((await download(id, 'adapter_config.json')).toString());
    expect(config).toMatchObject({ fine_tune_type: 'lora', num_layers: 6, lora_parameters: { rank: 4, scale: 4, dropout: 0 } });
    expect(config.lora_parameters.keys).toContain('self_attn.q_proj');
    const dir = await mkdtemp(join(tmpdir(), 'graft-mlx-'));
    await writeFile(join(dir, 'a.safetensors'), await download(id, 'adapters.safetensors'));
    expect(readSafetensors(join(dir, 'a.safetensors')).get('model.layers.0.mlp.down_proj.lora_b')).toMatchObject({ shape: [4, 192] });
    await rm(dir, { recursive: true });
  });
});

describe('an export whose worker was lost', () => {
  it('is made by the next one, and what the first one still writes does not count', async () => {
    await worker!.stop();
    const { services } = service;
    const { id } = await create({ format: 'mlx_adapter' });
    const first = (await services.exports.claim({ id, attempt: 0 }, 'worker-lost'))!;
    await services.database.export.update({ where: { id }, data: { heartbeatAt: new Date(0) } });
    await startExporting();
    expect(await ended(id)).toMatchObject({ status: 'succeeded' });
    expect(await services.exports.heartbeat(first, { doneBytes: 1, totalBytes: 1 })).toBe(false);
    expect(await services.exports.keep(first, { folder: 'jobs/x/', files: [], warnings: [], proof: null, keepDays: 1 })).toBe(false);
    expect(await services.exports.succeed(first, { hub: null, vllmName: null })).toBe(false);
    expect(await messagesOf(id)).toContain('A worker has begun to make the files (attempt 2)');
  });

  it('fails once it has ended three workers', async () => {
    const { services } = service;
    await worker!.stop();
    const { id } = await create({ format: 'mlx_adapter' });
    for (const attempt of [0, 1, 2]) await services.exports.claim({ id, attempt }, 'worker-lost');
    await services.database.export.update({ where: { id }, data: { heartbeatAt: new Date(0) } });
    await startExporting();
    expect(await ended(id)).toMatchObject({ status: 'failed', error: { code: 'worker_lost' } });
    expect((await messagesOf(id)).at(-1)).toBe('The export has failed: 3 workers were lost while they made the export');
  });
});

describe('deleting the model', () => {
  it('deletes its exports too', async () => {
    const before = (await service.inject({ url: '/v1/exports' })).json<{ data: ExportBody[] }>().data;
    expect(before.length).toBeGreaterThan(4);
    await service.client.models.delete(model);
    expect((await service.inject({ url: '/v1/exports' })).json()).toMatchObject({ data: [] });
    expect(await service.services.objectStore.list(`${keys.job(jobId)}exports/`)).toEqual([]);
  });
});
