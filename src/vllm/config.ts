import { resolve } from 'node:path';
import { isUrl } from '../setting-values.ts';

/** A vLLM that serves adapters together with their base model. */
export interface VllmConfig {
  /** Each adapter is a directory in it. vLLM sees it under the same path, or takes adapters from it by itself (`VLLM_LORA_RESOLVER_CACHE_DIR`). */
  adaptersDir: string;
  /** Without a trailing slash; null: vLLM takes adapters from the directory by itself. */
  url: string | null;
  apiKey: string | null;
}

/** @param problems receives what is wrong with the settings. @returns null if no adapters are handed to a vLLM */
export function readVllm(env: NodeJS.ProcessEnv, problems: string[]): VllmConfig | null {
  const url = (env['VLLM_URL'] || '').replace(/\/+$/, '').replace(/\/v1$/, '');
  if (url !== '' && (!isUrl(url, ['https:', 'http:']) || /[@?#]/.test(url)))
    problems.push('VLLM_URL is not a URL that starts with https:// or http://, without a user, a password or parameters');
  const dir = env['VLLM_ADAPTERS_DIR'];
  if (dir) return Object.freeze({ adaptersDir: resolve(dir), url: url || null, apiKey: env['VLLM_API_KEY'] || null });
  if (url !== '') problems.push('VLLM_URL needs VLLM_ADAPTERS_DIR, a directory that vLLM sees under the same path');
  return null;
}
