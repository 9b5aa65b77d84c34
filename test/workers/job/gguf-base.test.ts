import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTemplateSources } from '../../../workers/engine/data/template/template-files.ts';
import { Tokenizer } from '../../../workers/engine/data/tokenizer.ts';
import { exportModelGguf } from '../../../workers/engine/gguf/export-gguf.ts';
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
    expect(made.filter((name) => !name.endsWith('.lock'))).toEqual([sha256(readFileSync(file))]);
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
