/** Training without the service: with the manifest beside what is delivered, which the service's worker writes itself. */
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { Prepared, TrainOptions, TrainResult } from './contract.ts';
import { openFileHashes } from './io/base-model-files.ts';
import { lineageOf, writeManifest } from './io/manifest.ts';
import { train } from './train.ts';

/** @returns what `train` does, the manifest among its files */
export async function trainWithLineage(options: TrainOptions): Promise<TrainResult> {
  const { modelDir, baseModelName = modelDir, seed, report } = options;
  let receipt: TokenReceipt | undefined;
  let prepared: Prepared | undefined;
  const result = await train({
    ...options,
    report: {
      ...report,
      receipt: (told) => {
        receipt = told;
        return report?.receipt?.(told);
      },
      prepared: (told) => {
        prepared = told;
        return report?.prepared?.(told);
      },
    },
  });
  if (receipt === undefined || prepared === undefined) throw new Error('a run tells its receipt and what it prepared');
  const baseModelFiles = await openFileHashes()(modelDir);
  const lineage = lineageOf({ job: null, baseModelName, baseModelFiles, receipt, prepared, seed, last: result.last, now: new Date() });
  return { ...result, files: [...result.files, writeManifest(result.outputDir, lineage)] };
}
