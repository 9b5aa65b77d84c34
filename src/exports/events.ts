/** What an export's events say. */
import type { Export, ExportError, NewExportEvent } from './export.ts';

const said = (message: string): NewExportEvent => ({ level: 'info', message });
const warned = (message: string): NewExportEvent => ({ level: 'warn', message });

export const createdEvent = ({ model, format, dtype }: Pick<Export, 'model' | 'format' | 'dtype'>): NewExportEvent =>
  said(`Created export of ${model}: ${format}, ${dtype}`);

export const claimedEvent = ({ attempt, folder }: Pick<Export, 'attempt' | 'folder'>): NewExportEvent => {
  const what = folder === null ? 'A worker has begun to make the files' : 'A worker has taken the files that are made, to hand them on';
  return said(attempt === 1 ? what : `${what} (attempt ${attempt})`);
};

export function madeEvents({ files, warnings, proof }: Pick<Export, 'files' | 'warnings' | 'proof'>): NewExportEvent[] {
  const bytes = (files ?? []).reduce((sum, file) => sum + file.bytes, 0);
  const proven =
    proof === null
      ? []
      : [said(`The merged model's logits are those of base and adapter to ${proof.difference.toExponential(1)}, on ${proof.prompts} texts`)];
  return [
    ...proven,
    ...warnings.map(warned),
    said(`The files are made: ${(files ?? []).map(({ name }) => name).join(', ')} (${(bytes / 1e6).toFixed(1)} MB)`),
  ];
}

export const pushingEvent = (repoId: string): NewExportEvent => said(`The files are pushed to ${repoId}`);

export const succeededEvents = ({ hub, vllmName }: Pick<Export, 'hub' | 'vllmName'>): NewExportEvent[] => [
  ...(hub === null ? [] : [said(`The files are at ${hub.url}, commit ${hub.commit}`)]),
  ...(vllmName === null ? [] : [said(`vLLM serves the adapter as ${vllmName}`)]),
  said('The export has succeeded'),
];

export const failedEvent = ({ message }: ExportError): NewExportEvent => ({ level: 'error', message: `The export has failed: ${message}` });
export const releasedEvent = warned('The worker stops: the export waits for another one');
export const brokenOffEvent = warned('The worker had an error that is not of the model: the export is tried again');
export const cancelledEvent = said('The export has been cancelled');
