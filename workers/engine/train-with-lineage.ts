/** Training without the service: also writes the manifest, which in the service the worker writes. */
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { Prepared, TrainOptions, TrainResult } from './contract.ts';
import { openFileHashes } from './io/base-model-files.ts';
import { lineageOf, writeManifest } from './io/manifest.ts';
import { train } from './train.ts';

/** @returns the result of `train`, with the manifest among its files */
export async function trainWithLineage(options: TrainOptions): Promise<TrainResult> {
  const { modelDir, baseModelName = modelDir, seed, report } = options;
  let receipt: TokenReceipt | undefined;
  let prepared: Prepared | undefined;
  const result = await train({
    ...options,
    report: {
      ...report,
      receipt: (reported) => {
        receipt = reported;
        return report?.receipt?.(reported);
      },
      prepared: (reported) => {
        prepared = reported;
        return report?.prepared?.(reported);
      },
    },
  });
  if (receipt === undefined || prepared === undefined) throw new Error('a run reports its receipt and its preparation');
  const baseModelFiles = await openFileHashes()(modelDir);
  const lineage = lineageOf({ job: null, baseModelName, baseModelFiles, receipt, prepared, seed, last: result.delivered, now: new Date() });
  return { ...result, files: [...result.files, writeManifest(result.outputDir, lineage)] };
}
