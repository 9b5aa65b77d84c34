/** What a tuned model can be exported as. */
export const EXPORT_FORMATS = ['hugging_face', 'gguf', 'gguf_adapter', 'mlx_adapter'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export const EXPORT_DTYPES = ['f32', 'f16', 'bf16', 'q8_0'] as const;
export type ExportDtype = (typeof EXPORT_DTYPES)[number];

/** The types of each format, its default first. */
export const DTYPES_OF: Readonly<Record<ExportFormat, readonly ExportDtype[]>> = {
  hugging_face: ['bf16', 'f16', 'f32'],
  gguf: ['f16', 'bf16', 'q8_0', 'f32'],
  gguf_adapter: ['f32', 'f16', 'bf16'],
  mlx_adapter: ['f32'],
};

/** Formats that hold the adapter alone. */
export const isOfAdapter = (format: ExportFormat): boolean => format.endsWith('_adapter');
