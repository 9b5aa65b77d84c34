import { isUrl } from '../setting-values.ts';

/** Where jobs are shown besides the service itself. All of it is the operator's: a job only names an experiment. */
export interface IntegrationsConfig {
  /** null: jobs cannot ask for MLflow. */
  mlflow: { trackingUri: string; authorization: string | null } | null;
  /** null: jobs may name Weights & Biases, but nothing is sent there. */
  wandb: { baseUrl: string; authorization: string } | null;
  /** Under which the service is reached from outside, without a trailing slash; for links. */
  publicUrl: string;
}

/** The variables are those of the servers' own clients. @param problems receives what is wrong with them */
export function readIntegrations(env: NodeJS.ProcessEnv, { host, port, problems }: { host: string; port: number; problems: string[] }) {
  const url = (name: string): string | null => {
    const text = (env[name] || '').replace(/\/+$/, '');
    if (text === '') return null;
    if (!isUrl(text, ['https:', 'http:'])) problems.push(`${name} is not a URL that starts with https:// or http://`);
    else if (/[@?#]/.test(text)) problems.push(`${name} must not have a user, a password or parameters`);
    return text;
  };
  const basicOf = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const trackingUri = url('MLFLOW_TRACKING_URI');
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password = '' } = env;
  const basic = user ? basicOf(user, password) : null;
  const wandbUrl = url('WANDB_BASE_URL') ?? 'https://api.wandb.ai';
  const config: IntegrationsConfig = {
    mlflow: trackingUri === null ? null : { trackingUri, authorization: token ? `Bearer ${token}` : basic },
    wandb: env['WANDB_API_KEY'] ? { baseUrl: wandbUrl, authorization: basicOf('api', env['WANDB_API_KEY']) } : null,
    publicUrl: url('PUBLIC_URL') ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
  };
  return Object.freeze(config);
}
