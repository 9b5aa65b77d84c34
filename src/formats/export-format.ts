import { Refusal } from './refusal.ts';
import { adapterExports, deliveredBy, type TuningType } from './tuning/tuning.ts';

/** What a tuned model can be exported as. */
export const EXPORT_FORMATS = ['hugging_face', 'gguf', 'peft_adapter', 'gguf_adapter', 'mlx_adapter'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export const EXPORT_DTYPES = ['f32', 'f16', 'bf16', 'q8_0'] as const;
export type ExportDtype = (typeof EXPORT_DTYPES)[number];

/** The types of each format, its default first. */
export const DTYPES_OF: Readonly<Record<ExportFormat, readonly ExportDtype[]>> = {
  hugging_face: ['bf16', 'f16', 'f32'],
  gguf: ['f16', 'bf16', 'q8_0', 'f32'],
  peft_adapter: ['f32'],
  gguf_adapter: ['f32', 'f16', 'bf16'],
  mlx_adapter: ['f32'],
};

/** Formats that have to be made; an adapter for PEFT is as it was trained, and needs no base model. */
export const CONVERTED_FORMATS = EXPORT_FORMATS.filter((format) => format !== 'peft_adapter');
export type ConvertedFormat = (typeof CONVERTED_FORMATS)[number];

/** Formats that hold the adapter alone. */
export const isOfAdapter = (format: ExportFormat): boolean => format.endsWith('_adapter');

/**
 * @param model its name, for the message
 * @throws Refusal `unsupported_export` for a format that cannot hold what the method trained
 */
export function checkExport(model: string, { type, format }: { type: TuningType; format: ExportFormat }): void {
  const refuse = (message: string, hint: string): never => {
    throw new Refusal('unsupported_export', message, { param: 'format', hint });
  };
  const merged = 'Export the model itself: "hugging_face" or "gguf".';
  if (deliveredBy(type) === 'model') {
    if (isOfAdapter(format)) refuse(`"${model}" was tuned as a whole and has no adapter`, merged);
    return;
  }
  if (format === 'peft_adapter') return; // as it is
  const possible = adapterExports(type);
  if (possible.length === 0)
    refuse(
      `"${model}" was tuned with "${type}", whose virtual tokens no exported format can hold`,
      'Export it as "peft_adapter" and load it with PEFT, or train another kind of adapter, such as "lora".',
    );
  if (isOfAdapter(format) && !possible.includes('alone'))
    refuse(`"${model}" was tuned with "${type}", and ${format} holds only adapters of the type "lora"`, merged);
}
