/** Which methods a client has, as found on its objects. */
import type { Client } from './setting.ts';

/** The resources that have to do with fine-tuning, and with trying what it made. */
const RESOURCES = ['files', 'uploads', 'models', 'fineTuning', 'chat', 'completions', 'responses', 'webhooks', 'admin'];

type Callable = (...args: unknown[]) => Promise<unknown>;

export interface Method {
  /** `files.create` */
  name: string;
  call: Callable;
}

export function methodsOf(client: Client): Method[] {
  const found: Method[] = [];
  const visit = (resource: object, path: string) => {
    const prototype = Object.getPrototypeOf(resource);
    for (const name of Object.getOwnPropertyNames(prototype)) {
      const method = (resource as Record<string, unknown>)[name];
      if (name !== 'constructor' && typeof method === 'function') found.push({ name: `${path}.${name}`, call: method.bind(resource) });
    }
    for (const [name, value] of Object.entries(resource)) if (isResource(value) && name !== '_client') visit(value, `${path}.${name}`);
  };
  for (const name of RESOURCES) visit(client[name as keyof Client] as object, name);
  return found;
}

const isResource = (value: unknown): value is object => typeof value === 'object' && value !== null && '_client' in value;
