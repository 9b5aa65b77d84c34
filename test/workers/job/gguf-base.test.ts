import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ggufDirectory } from '../../../workers/base-models/gguf-files.ts';
import { sweepGguf } from '../../../workers/base-models/sweep-gguf.ts';
import { readTemplateSources } from '../../../workers/engine/data/template/template-files.ts';
import { Tokenizer } from '../../../workers/engine/data/tokenizer.ts';
import { exportModelGguf } from '../../../workers/engine/gguf/export-gguf.ts';
import { openHashes } from '../../../workers/engine/io/base-model-files.ts';
import { sha256 } from '../../sha256.ts';
import { superviseJobs } from './supervised-jobs.ts';

const tiny = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let scratch: string;
let file: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'graft-gguf-base-'));
  file = join(scratch, 'tiny.F32.gguf');
  const tokenizer = await Tokenizer.open(tiny);
  const templates = await readTemplateSources(tiny, tokenizer.config);
  await exportModelGguf({ modelDir: tiny, adapterDir: null }, file, { name: 'x', type: 'f32', templates, tokenizer });
  jobs = await superviseJobs();
});
afterAll(async () => {
  await jobs?.close();
  await rm(scratch, { recursive: true, force: true });
});

describe('a job whose base model is a GGUF file', () => {
  it('trains the adapter that the Hugging Face directory of the same weights gives, and its lineage and card name the file', async () => {
    const [ofFile, ofDirectory] = [await jobs.makeJob(), await jobs.makeJob()];
    await jobs.supervise(ofFile, { modelDir: () => file });
    await jobs.supervise(ofDirectory);
    expect((await jobs.get(ofFile)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(ofFile)).toEqual(await jobs.weights(ofDirectory));
    const content = readFileSync(file);
    const { base_model: base } = (await jobs.get(ofFile, '/lineage')).json();
    expect(base).toMatchObject({ name: 'graft-tiny', files: [{ name: 'tiny.F32.gguf', bytes: content.length, sha256: sha256(content) }] });
    expect((await jobs.get(ofFile, '/adapter/README.md')).body).toContain('gguf_file="tiny.F32.gguf"');
    const messages = (await jobs.get(ofFile, '/events')).json().data.map(({ message }: { message: string }) => message);
    expect(messages).toContain('Reading tiny.F32.gguf, once for all jobs on this worker');
  });

  it('a second time › uses the directory that the first one has made', async () => {
    const again = await jobs.makeJob({ seed: 6 });
    await jobs.supervise(again, { modelDir: () => file });
    const messages = (await jobs.get(again, '/events')).json().data.map(({ message }: { message: string }) => message);
    expect(messages).not.toContain('Reading tiny.F32.gguf, once for all jobs on this worker');
    const made = await readdir(join(jobs.service.services.config.dataDir, 'gguf'));
    expect(made.filter((name) => !/\.(lock|held|used)$/.test(name))).toEqual([sha256(readFileSync(file))]);
  });

  it('while the directory is swept › keeps it to its end; the next job makes it again', async () => {
    const { dataDir } = jobs.service.services.config;
    const dir = ggufDirectory(dataDir, sha256(readFileSync(file)));
    const sweep = () => sweepGguf({ dataDir, limitBytes: 0, files: [file], inUse: [], sha256Of: openHashes(), log: pino({ level: 'silent' }) });
    const during: boolean[] = [];
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *train(options) {
        await sweep();
        during.push(existsSync(dir));
        yield* training.train(options);
      },
      async verify(deliveredDir) {
        await sweep();
        during.push(existsSync(dir));
        return training.verify(deliveredDir);
      },
    }));
    const [swept, next] = [await jobs.makeJob({ seed: 7 }), await jobs.makeJob({ seed: 7 })];
    await jobs.supervise(swept, { modelDir: () => file, takeProcess });
    expect((await jobs.get(swept)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(during).toEqual([true, true]);
    await sweep();
    expect(existsSync(dir)).toBe(false);
    await jobs.supervise(next, { modelDir: () => file });
    expect(await jobs.weights(next)).toEqual(await jobs.weights(swept));
  });

  it('that is not whole › fails with what is wrong, and leaves nothing behind', async () => {
    const broken = join(scratch, 'broken.gguf');
    await writeFile(broken, readFileSync(file).subarray(0, 5000));
    const id = await jobs.makeJob();
    await jobs.supervise(id, { modelDir: () => broken });
    expect((await jobs.get(id)).json()).toMatchObject({
      status: 'failed',
      error: { code: 'corrupt_model_file', param: 'model', message: expect.stringMatching(/broken\.gguf is not a whole GGUF file/) },
    });
  });
});
