/** Client generators: each makes a client of the document, whole, and the client is used. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { npmTool } from '../../reference/npm-tool.ts';
import { pythonTool } from '../../reference/python/tool.ts';
import { sameAnswer } from '../journey/dataset.ts';
import type { Tested } from './tester.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const MODEL = 'tiny';

function run(program: string, args: string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
}

/** Hey API's generator for TypeScript: the client type-checks and makes a job. */
export async function useTypeScriptClient({ url, apiKey, folder }: Tested, document: string): Promise<void> {
  const made = join(folder, 'typescript');
  const generator = join(await npmTool('@hey-api/openapi-ts'), 'bin/run.js');
  run(process.execPath, [generator, '-i', document, '-o', made, '-p', '@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'], folder);
  await writeFile(join(made, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['**/*.ts'] }));
  run(join(root, 'node_modules/.bin/tsc'), ['-p', made], made);
  const sdk = await import(pathToFileURL(join(made, 'sdk.gen.ts')).href);
  const { client } = await import(pathToFileURL(join(made, 'client.gen.ts')).href);
  client.setConfig({ baseUrl: url, auth: apiKey });
  const file = await sdk.createFile({ body: { file: new File([sameAnswer(4)], 'train.jsonl'), purpose: 'fine-tune' }, throwOnError: true });
  const body = { model: MODEL, training_file: file.data.id, metadata: { made_by: 'typescript' } };
  const job = await sdk.createFineTuningJob({ body, throwOnError: true });
  const found = await sdk.listPaginatedFineTuningJobs({ query: { metadata: { made_by: 'typescript' } }, throwOnError: true });
  if (found.data.data[0]?.id !== job.data.id) throw new Error(`The generated client finds ${JSON.stringify(found.data)}, not the job ${job.data.id}`);
}

/** As strict as users are. */
const COMPILER_OPTIONS = {
  strict: true,
  noEmit: true,
  target: 'es2022',
  module: 'esnext',
  moduleResolution: 'bundler',
  lib: ['es2023', 'dom', 'dom.iterable'],
  types: [],
};

/** openapi-python-client: it warns of each part of a document that it leaves out, and such a warning fails here. The client makes a job. */
export async function usePythonClient({ url, apiKey, folder }: Tested, document: string): Promise<void> {
  const python = await pythonTool('openapi-python-client');
  const config = join(folder, 'python.json');
  // It knows one kind of bytes; and the program that it would format its result with is not installed.
  await writeFile(config, JSON.stringify({ content_type_overrides: { 'application/x-tar': 'application/octet-stream' }, post_hooks: [] }));
  const args = ['generate', '--path', document, '--config', config, '--output-path', join(folder, 'python'), '--fail-on-warning'];
  run(python, ['-m', 'openapi_python_client', ...args], folder);
  run(python, [join(import.meta.dirname, 'use_client.py'), url, apiKey, MODEL, sameAnswer(4)], join(folder, 'python'));
}
