import type { Refusal } from '../formats/refusal.ts';

interface Kind {
  /** OpenAI's clients retry by themselves after 408, 409, 429 and 5xx, so only errors that a retry may fix have one of these. */
  status: number;
  /** OpenAI's error type. */
  type: string;
}

const KINDS: Readonly<Record<string, Kind>> = {
  invalid_api_key: { status: 401, type: 'authentication_error' },
  mismatched_organization: { status: 401, type: 'invalid_request_error' },
  mismatched_project: { status: 401, type: 'invalid_request_error' },
  project_archived: { status: 403, type: 'invalid_request_error' },
  missing_scope: { status: 403, type: 'invalid_request_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  fine_tune_not_found: { status: 404, type: 'invalid_request_error' },
  sweep_not_found: { status: 404, type: 'invalid_request_error' },
  file_not_found: { status: 404, type: 'invalid_request_error' },
  upload_not_found: { status: 404, type: 'invalid_request_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  revision_not_found: { status: 404, type: 'invalid_request_error' },
  adapter_not_found: { status: 404, type: 'invalid_request_error' },
  permission_not_found: { status: 404, type: 'invalid_request_error' },
  export_not_found: { status: 404, type: 'invalid_request_error' },
  webhook_endpoint_not_found: { status: 404, type: 'invalid_request_error' },
  report_not_found: { status: 404, type: 'invalid_request_error' },
  model_gated: { status: 403, type: 'invalid_request_error' },
  model_download_not_allowed: { status: 403, type: 'invalid_request_error' },
  hub_push_not_allowed: { status: 403, type: 'invalid_request_error' },
  project_not_found: { status: 404, type: 'invalid_request_error' },
  api_key_not_found: { status: 404, type: 'invalid_request_error' },
  service_account_not_found: { status: 404, type: 'invalid_request_error' },
  rate_limit_not_found: { status: 404, type: 'invalid_request_error' },
  rate_limit_exceeded: { status: 429, type: 'requests' },
  insufficient_quota: { status: 429, type: 'insufficient_quota' },
  generation_busy: { status: 429, type: 'requests' },
  generation_lost: { status: 503, type: 'server_error' },
  generation_unavailable: { status: 503, type: 'server_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  idempotency_key_reused: { status: 409, type: 'invalid_request_error' },
  request_in_progress: { status: 409, type: 'invalid_request_error' },
  file_too_large: { status: 413, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  range_not_satisfiable: { status: 416, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  too_many_streams: { status: 503, type: 'server_error' },
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  no_worker: { status: 503, type: 'server_error' },
  model_hub_unreachable: { status: 503, type: 'server_error' },
  internal_error: { status: 500, type: 'server_error' },
};

/** Codes outside the table are the caller's mistakes. */
const CALLER_ERROR: Kind = { status: 400, type: 'invalid_request_error' };

const kindOf = ({ code }: Refusal): Kind => KINDS[code] ?? CALLER_ERROR;

export const statusOf = (refusal: Refusal): number => kindOf(refusal).status;

/** The body of every refused request, always with all four keys. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
}

export const errorBody = (refusal: Refusal): ErrorBody => ({
  error: { message: refusal.text, type: kindOf(refusal).type, param: refusal.param, code: refusal.code },
});
