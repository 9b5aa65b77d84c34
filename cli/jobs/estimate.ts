import type { Context } from '../context.ts';
import { bytes, parameters } from '../terminal/amounts.ts';
import { fields, safe } from '../terminal/text.ts';
import { withUploads } from './files.ts';
import { type JobFlags, requestOf } from './request.ts';

interface Estimate {
  model: string;
  trained_parameters: number;
  total_parameters: number;
  delivered_bytes: number;
  memory: { total_bytes: number };
  data: { examples: number; tokens: number; total_steps: number; total_tokens: number } | null;
  workers: { id: string; fits: boolean | null; has_model: boolean }[];
  assumptions: string[];
}

export async function estimate(options: JobFlags, { service: connect, output }: Context): Promise<void> {
  const request = await requestOf(options);
  const service = await connect();
  const body = await withUploads(request, { service, output });
  const found = await service.client.post<Estimate>('/fine_tuning/estimate', { body });
  const { data, workers } = found;
  const fitting = workers.filter(({ fits }) => fits === true).length;
  const unknown = workers.filter(({ fits }) => fits === null).length;
  const text = fields(
    [
      ['model', found.model],
      ['trained', `${parameters(found.trained_parameters)} of ${parameters(found.total_parameters)} parameters`],
      ['memory', bytes(found.memory.total_bytes)],
      ['delivered', bytes(found.delivered_bytes)],
      ['data', data && `${data.examples.toLocaleString('en')} examples, about ${data.tokens.toLocaleString('en')} tokens`],
      ['steps', data?.total_steps.toLocaleString('en')],
      ['workers', `${workers.length} running; it fits on ${fitting}${unknown === 0 ? '' : `, and of ${unknown} the memory is not known`}`],
    ],
    output.paint,
  );
  output.result(found, [text, ...found.assumptions.map((assumption) => output.paint('dim', `  ${safe(assumption)}`))].join('\n'));
}
