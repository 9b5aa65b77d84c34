import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const model = join(root, 'test/fixtures/reference/cases/llama-gqa-tied/model');

let dir: string;
let data: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-cli-'));
  data = join(dir, 'examples.jsonl');
  const examples = Array.from({ length: 12 }, (_, index) => ({
    messages: [
      { role: 'user', content: `Where ${index}?` },
      { role: 'assistant', content: 'The garden.' },
    ],
  }));
  await writeFile(data, examples.map((example) => JSON.stringify(example)).join('\n'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function run(...args: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const environment = { ...process.env, HOME: dir }; // measurements of the machine are cached there
    execFile(process.execPath, ['scripts/run.mjs', 'workers/engine/cli.ts', ...args], { cwd: root, env: environment }, (error, stdout, stderr) =>
      resolve({ exitCode: typeof error?.code === 'number' ? error.code : 0, stdout, stderr: withoutTensorFlow(stderr) }),
    );
  });
}

/** Drops TensorFlow's notice about oneDNN, which appears before it can be silenced. */
const withoutTensorFlow = (stderr: string): string =>
  stderr
    .split('\n')
    .filter((line) => !/before absl::InitializeLog|oneDNN custom operations/.test(line))
    .join('\n');

describe('the engine’s command line', () => {
  it('trains an adapter and generates the answer it was trained on', async () => {
    const out = join(dir, 'adapter');
    const trained = await run(
      ...['train', '--model', model, '--data', data, '--out', out, '--epochs', '8', '--batch-size', '4', '--learning-rate', '0.02'],
    );
    expect(trained).toMatchObject({ exitCode: 0, stderr: '' });
    expect(trained.stdout).toMatch(/12 examples, \d+ tokens[\s\S]*step 24\/24 {2}loss /);
    expect(await readdir(out)).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors', 'graft_manifest.json']);
    const manifest = JSON.parse(await readFile(join(out, 'graft_manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({ job: null, base_model: { name: model }, data: { training: { id: null, examples: 12 } }, step: 24, seed: 0 });
    const generated = await run('generate', '--model', model, '--adapter', out, '--prompt', 'Where 3?');
    expect(generated).toEqual({ exitCode: 0, stdout: 'The garden.\n', stderr: '' });
    const merged = join(dir, 'merged');
    const exported = await run('export', '--model', model, '--adapter', out, '--out', merged, '--format', 'hugging_face', '--dtype', 'f32');
    expect(exported).toMatchObject({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringMatching(/logits are within \d\.\de-\d of[\s\S]*wrote hugging_face \(f32\)/),
    });
    const alone = await run('generate', '--model', merged, '--prompt', 'Where 3?');
    expect(alone).toEqual({ exitCode: 0, stdout: 'The garden.\n', stderr: '' });
  });

  it.each([
    [['train', '--data', 'x', '--out', 'y'], /^--model is missing\. See --help\.$/],
    [['train', '--r', '512'], /^the tuning: r must be <= 256\. See --help\.$/],
    [['generate', '--bogus'], /^Unknown option '--bogus'/],
    [['export', '--model', 'x', '--out', 'y', '--format', 'peft'], /^--format is "peft"; use hugging_face, gguf, gguf_adapter, mlx_adapter$/],
    [['distil'], /^unknown command "distil"\. See --help\.$/],
  ])('with %j › reports the problem on one line and fails', async (args, message) => {
    const { exitCode, stderr } = await run(...args);
    expect(exitCode).toBe(1);
    expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(message)]);
  });
});
