/** Turns the hub's error responses into refusals. Its error codes are in `X-Error-Code`, as huggingface_hub reads them. */
import { Refusal } from '../formats/refusal.ts';

interface HubRequest {
  model: string;
  endpoint: string;
  hasToken: boolean;
}

export async function hubRefusal(response: Response, { model, endpoint, hasToken }: HubRequest): Promise<Refusal> {
  const code = response.headers.get('x-error-code');
  await response.body?.cancel();
  const param = 'model';
  if (code === 'GatedRepo')
    return new Refusal('model_gated', `"${model}" is gated: its owner grants access per account`, {
      param,
      hint: hasToken
        ? `Accept its terms at ${endpoint}/${model} with the account that HF_TOKEN belongs to.`
        : `Accept its terms at ${endpoint}/${model} and set HF_TOKEN to a token of that account.`,
    });
  if (code === 'RevisionNotFound')
    return new Refusal('revision_not_found', `"${model}" has no such revision`, {
      param,
      hint: 'Name a branch, a tag or a commit after the @.',
    });
  // Without access, the hub does not distinguish a private model from a missing one.
  if (code === 'RepoNotFound' || [401, 403, 404].includes(response.status))
    return new Refusal('model_not_found', `There is no model "${model}" at ${endpoint}, or it is private`, {
      param,
      hint: hasToken ? 'Check the name, and that HF_TOKEN is valid and has access.' : 'Check the name; a private model needs HF_TOKEN.',
    });
  return hubUnreachable(endpoint, new Error(`it answered with status ${response.status}`));
}

const UNREACHABLE = 'model_hub_unreachable';

/** Whether the hub could not be reached, the only one of its refusals that is worth a retry. */
export const isUnreachable = (error: unknown): boolean => error instanceof Refusal && error.code === UNREACHABLE;

export function hubUnreachable(endpoint: string, cause: unknown): Refusal {
  const { message, cause: deeper } = cause as { message?: string; cause?: { message?: string } };
  return new Refusal(UNREACHABLE, `The model hub at ${endpoint} cannot be reached: ${deeper?.message || message}`, {
    param: 'model',
    hint: 'Try again later, or name a model that GET /v1/models lists.',
  });
}
