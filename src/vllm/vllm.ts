/** What is needed of vLLM's server to serve adapters: https://docs.vllm.ai/en/latest/features/lora.html */
import { Refusal } from '../formats/refusal.ts';
import { cut } from '../formats/shown.ts';

/** vLLM reads the adapter's weights into the GPU's memory before it answers. */
const TIMEOUT_MS = 120_000;
/** Of what vLLM says about an error. */
const MAX_REASON = 300;

export interface Vllm {
  /**
   * Has vLLM serve the adapter of a directory. One that it serves already stays.
   * @throws Refusal
   */
  load(name: string, path: string): Promise<void>;
  /** One that vLLM does not serve is no error. @throws Refusal */
  unload(name: string): Promise<void>;
  /** Names of models and adapters, and where each was loaded from. @throws Refusal */
  served(): Promise<Map<string, string>>;
}

/** Newer versions wrap the error, as OpenAI does; without the routes there is FastAPI's `detail` alone. */
interface VllmError {
  error?: { message?: string };
  message?: string;
}

export function openVllm({ url, apiKey }: { url: string; apiKey: string | null }): Vllm {
  async function ask(path: string, body?: object): Promise<Response> {
    const request = fetch(url + path, {
      method: body === undefined ? 'GET' : 'POST',
      redirect: 'error', // the key is for this server
      headers: { 'content-type': 'application/json', ...(apiKey !== null && { authorization: `Bearer ${apiKey}` }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return request.catch((error: Error & { cause?: Error }) => {
      throw new Refusal('vllm_unreachable', `vLLM at ${url} cannot be reached: ${error.cause?.message || error.message}`, { param: 'vllm' });
    });
  }

  /** @returns what vLLM says, null if it has no such route */
  async function reasonOf(response: Response): Promise<string | null> {
    const text = await response.text();
    try {
      const { error, message = error?.message } = JSON.parse(text) as VllmError;
      return typeof message === 'string' ? cut(message, MAX_REASON) : null;
    } catch {
      return null;
    }
  }

  function refusal({ status }: Response, reason: string | null): Refusal {
    const param = 'vllm';
    if (status === 401 || status === 403)
      return new Refusal('vllm_refused', `vLLM at ${url} does not accept the service's key`, {
        param,
        hint: 'VLLM_API_KEY must be the key that vLLM was started with.',
      });
    if (reason === null && (status === 404 || status === 405))
      return new Refusal('vllm_refused', `vLLM at ${url} takes no adapters while it runs`, {
        param,
        hint: 'Start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.',
      });
    return new Refusal('vllm_refused', `vLLM at ${url} answered ${status}${reason === null ? '' : `: ${reason}`}`, {
      param,
      ...(status === 404 && { hint: 'It must see VLLM_ADAPTERS_DIR under the same path as the worker.' }),
    });
  }

  async function served(): Promise<Map<string, string>> {
    const response = await ask('/v1/models');
    if (!response.ok) throw refusal(response, await reasonOf(response));
    const { data } = (await response.json()) as { data: { id: string; root: string }[] };
    return new Map(data.map(({ id, root }) => [id, root]));
  }

  return {
    served,

    async load(name, path) {
      const response = await ask('/v1/load_lora_adapter', { lora_name: name, lora_path: path });
      if (response.ok) return void (await response.body?.cancel());
      const reason = await reasonOf(response);
      // A name that is taken has no code of its own.
      const root = response.status === 400 ? (await served()).get(name) : undefined;
      if (root === path) return;
      if (root !== undefined) throw new Refusal('vllm_name_taken', `vLLM at ${url} serves another model as "${name}"`, { param: 'vllm.name' });
      throw refusal(response, reason);
    },

    async unload(name) {
      const response = await ask('/v1/unload_lora_adapter', { lora_name: name });
      if (response.ok) return void (await response.body?.cancel());
      const reason = await reasonOf(response);
      if (response.status !== 404 || reason === null) throw refusal(response, reason);
    },
  };
}
