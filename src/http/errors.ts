import type { InputError } from '../formats/input-error.ts';

/** code → HTTP status and OpenAI's error type. A code that is not here is the caller's mistake: 400. */
const table = {
  invalid_api_key: { status: 401, type: 'authentication_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  fine_tune_not_found: { status: 404, type: 'invalid_request_error' },
  file_not_found: { status: 404, type: 'invalid_request_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  revision_not_found: { status: 404, type: 'invalid_request_error' },
  model_gated: { status: 403, type: 'invalid_request_error' },
  model_download_not_allowed: { status: 403, type: 'invalid_request_error' },
  model_hub_unreachable: { status: 503, type: 'server_error' },
  adapter_not_found: { status: 404, type: 'invalid_request_error' },
  report_not_found: { status: 404, type: 'invalid_request_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  file_too_large: { status: 413, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  internal_error: { status: 500, type: 'server_error' },
  not_ready: { status: 503, type: 'server_error' },
} as const satisfies Record<string, { status: number; type: string }>;

const callersMistake = { status: 400, type: 'invalid_request_error' };

/** The body of every refusal: all four keys, always. */
export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** A request that the service refuses. The message says what and where, the hint what to do. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';

  constructor(
    readonly code: string,
    message: string,
    readonly details: { param?: string; hint?: string } = {},
  ) {
    super(message);
  }

  /** An InputError said the same about a file or a field; over HTTP it reads like any other refusal. */
  static from(error: InputError): ServiceError {
    return new ServiceError(error.code, error.message, error.details);
  }

  get status(): number {
    return this.#kind.status;
  }

  get body(): ErrorBody {
    const { param = null, hint } = this.details;
    const message = hint === undefined ? this.message : `${this.message}. ${hint}`;
    return { error: { message, type: this.#kind.type, param, code: this.code } };
  }

  get #kind(): { status: number; type: string } {
    return this.code in table ? table[this.code as keyof typeof table] : callersMistake;
  }
}
