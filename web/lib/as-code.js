/** A request to create a job or a sweep, as a program would send it. Pure. */
import { isRawNumber } from './written.js';

/** @typedef {Record<string, unknown>} Request */

/** Typed by the official clients; the rest goes along as it is. */
const TYPED = ['model', 'training_file', 'validation_file', 'suffix', 'seed', 'method', 'metadata', 'integrations'];

/** What fits on a line of its own. */
const WIDTH = 80;

/** @param {string} url of the service @param {Request} request @param {string} [path] of what is created */
export const asCurl = (url, request, path = '/fine_tuning/jobs') => `curl ${url}/v1${path} \\
  -H "Authorization: Bearer $GRAFT_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${JSON.stringify(request, null, 2).replaceAll("'", "'\\''")}'`;

/** @param {string} url @param {Request} request */
export function asPython(url, request) {
  const entries = Object.entries(request);
  const typed = entries.filter(([name]) => TYPED.includes(name));
  const extra = Object.fromEntries(entries.filter(([name]) => !TYPED.includes(name)));
  const lines = typed.map(([name, value]) => `    ${name}=${python(value)},`);
  if (Object.keys(extra).length > 0) lines.push(`    extra_body=${python(extra)},`);
  return `${pythonClient(url)}
job = client.fine_tuning.jobs.create(
${lines.join('\n')}
)
print(job.id)`;
}

/** OpenAI's clients have no sweeps, and post what they do not know. @param {string} url @param {Request} request */
export const sweepAsPython = (url, request) => `${pythonClient(url)}
sweep = client.post(
    "/fine_tuning/sweeps",
    cast_to=object,
    body=${python(request)},
)
print(sweep["id"])`;

/** @param {string} url */
const pythonClient = (url) => `import os
from openai import OpenAI

client = OpenAI(base_url="${url}/v1", api_key=os.environ["GRAFT_API_KEY"])`;

/** @param {string} url @param {Request} request */
export const asNode = (url, request) => `${nodeClient(url)}
const job = await client.fineTuning.jobs.create(${JSON.stringify(request, null, 2)});
console.log(job.id);`;

/** @param {string} url @param {Request} request */
export const sweepAsNode = (url, request) => `${nodeClient(url)}
const body = ${JSON.stringify(request, null, 2)};
const sweep = await client.post('/fine_tuning/sweeps', { body });
console.log(sweep.id);`;

/** @param {string} url */
const nodeClient = (url) => `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${url}/v1', apiKey: process.env.GRAFT_API_KEY });`;

/** @param {unknown} value @param {string} [indent] @returns {string} */
function python(value, indent = '    ') {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (isRawNumber(value)) return value.rawJSON;
  if (typeof value !== 'object') return JSON.stringify(value);
  const deeper = `${indent}    `;
  const [opening, closing, parts] = Array.isArray(value)
    ? ['[', ']', value.map((entry) => python(entry, deeper))]
    : ['{', '}', Object.entries(value).map(([name, entry]) => `${JSON.stringify(name)}: ${python(entry, deeper)}`)];
  const line = `${opening}${parts.join(', ')}${closing}`;
  return line.length <= WIDTH ? line : `${opening}\n${parts.map((part) => `${deeper}${part},\n`).join('')}${indent}${closing}`;
}
