import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { type LocalServer, startLocalServer } from '../local-server.ts';

/** A stand-in for vLLM, which needs a GPU: its routes for adapters, with the answers and errors that its source has. */
export interface VllmServer extends LocalServer {
  /** Name → directory of each adapter. */
  loaded: Map<string, string>;
  /** Whether it was started with VLLM_ALLOW_RUNTIME_LORA_UPDATING. */
  allowsUpdates: boolean;
  /** What its engine says of an adapter that it cannot load; null: it can. */
  engineError: string | null;
}

export async function startVllm(apiKey: string): Promise<VllmServer> {
  const vllm: State = { loaded: new Map(), allowsUpdates: true, engineError: null };
  return Object.assign(vllm, await startLocalServer((request, response) => void answer(vllm, apiKey, request, response)));
}

type State = Omit<VllmServer, keyof LocalServer>;

async function answer(vllm: State, apiKey: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, body: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
  const fail = (status: number, type: string, message: string) => send(status, { error: { message, type, param: null, code: status } });
  if (request.headers.authorization !== `Bearer ${apiKey}`) return void send(401, { error: 'Unauthorized' });
  if (request.url === '/v1/models') {
    const cards = [...vllm.loaded].map(([id, root]) => ({ id, object: 'model', root, parent: 'graft-tiny' }));
    return void send(200, { object: 'list', data: [{ id: 'graft-tiny', object: 'model', root: '/models/graft-tiny', parent: null }, ...cards] });
  }
  if (!vllm.allowsUpdates) return void send(404, { detail: 'Not Found' });
  const { lora_name: name, lora_path: path } = (await json(request)) as { lora_name: string; lora_path: string };
  if (request.url === '/v1/load_lora_adapter') {
    if (vllm.loaded.has(name))
      return void fail(
        400,
        'InvalidUserInput',
        `The lora adapter '${name}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.`,
      );
    if (!existsSync(join(path, 'adapter_config.json')))
      return void fail(404, 'NotFoundError', `Loading lora ${name} failed: No adapter found for ${path}`);
    if (vllm.engineError !== null) return void fail(500, 'InternalServerError', vllm.engineError);
    vllm.loaded.set(name, path);
    return void send(200, `Success: LoRA adapter '${name}' added successfully.`);
  }
  if (!vllm.loaded.delete(name)) return void fail(404, 'NotFoundError', `The lora adapter '${name}' cannot be found.`);
  send(200, `Success: LoRA adapter '${name}' removed successfully.`);
}
