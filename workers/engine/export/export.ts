/** Exports a tuned model into a directory. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ConvertedFormat, checkExport, type ExportDtype, isOfAdapter } from '../../../src/formats/export-format.ts';
import type { MergeProof } from '../../../src/formats/merge-proof.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { WeightsDtype } from '../../../src/formats/stored-dtype.ts';
import { DEFAULT, readTemplateSources } from '../data/template/template-files.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { exportAdapterGguf, exportModelGguf } from '../gguf/export-gguf.ts';
import { writeFileWhole } from '../io/files.ts';
import { readAdapterTuning } from '../tuning/methods.ts';
import { exportHuggingFace, ownTemplate } from './hugging-face.ts';
import type { TunedFiles } from './merged-weights.ts';
import { exportMlxAdapter } from './mlx.ts';
import { modelfile } from './modelfile.ts';
import { proveMerge } from './prove-merge.ts';

/** Receives bytes written and in total. */
export type Progress = (bytes: number, total: number) => Promise<void>;

export interface ExportOptions extends TunedFiles {
  format: ConvertedFormat;
  dtype: ExportDtype;
  /** The model's name, for files that show one. */
  name: string;
  outputDir: string;
}

export interface ExportResult {
  /** For the user, in whole sentences. */
  warnings: string[];
  /** Of a merged model in a format that the engine reads. */
  proof: MergeProof | null;
}

const DTYPES: Readonly<Partial<Record<ExportDtype, WeightsDtype>>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' };

/** @throws Refusal `unsupported_export`, `corrupt_model_file`, `unsupported_adapter`, `merge_differs` */
export async function exportModel(
  { format, dtype, name, outputDir, modelDir, adapterDir }: ExportOptions,
  progress: Progress,
): Promise<ExportResult> {
  const files = { modelDir, adapterDir };
  checkExport(name, { type: adapterDir === null ? 'full' : readAdapterTuning(adapterDir).type, format });
  if (adapterDir !== null && isOfAdapter(format)) return exportAdapter({ format, dtype, name, outputDir, modelDir, adapterDir }, progress);
  mkdirSync(outputDir, { recursive: true });
  if (format === 'hugging_face') {
    const ofWeights = DTYPES[dtype]!;
    await exportHuggingFace(files, outputDir, { dtype: ofWeights, progress });
    const proof = await proveMerge(files, outputDir, ofWeights);
    if (!proof.passed)
      throw new Refusal('merge_differs', `The merged model's predictions differ by ${proof.difference} from those of the base with the adapter`, {
        param: 'dtype',
        hint: 'Export it as f32.',
      });
    return { warnings: [], proof };
  }
  const own = ownTemplate(files);
  const tokenizer = await Tokenizer.open(modelDir);
  const templates = own === null ? await readTemplateSources(modelDir, tokenizer.config) : new Map([[DEFAULT, own]]);
  const file = `model-${dtype}.gguf`;
  const { warnings, contextTokens } = await exportModelGguf(files, join(outputDir, file), { name, type: dtype, templates, tokenizer, progress });
  writeFileWhole(join(outputDir, 'Modelfile'), await modelfile({ tokenizer, file, templates, contextTokens }));
  return { warnings, proof: null };
}

interface AdapterExport extends Omit<ExportOptions, 'adapterDir'> {
  adapterDir: string;
}

async function exportAdapter({ format, dtype, name, outputDir, ...files }: AdapterExport, progress: Progress): Promise<ExportResult> {
  mkdirSync(outputDir, { recursive: true });
  if (format === 'mlx_adapter') {
    exportMlxAdapter(files, outputDir);
    return { warnings: [], proof: null };
  }
  const { warnings } = await exportAdapterGguf(files, join(outputDir, `adapter-${dtype}.gguf`), { name, type: dtype, progress });
  return { warnings, proof: null };
}
