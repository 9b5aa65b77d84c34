/** What a tuned model can be exported as; another format is a line here. The first type is the default. Pure. */
export const FORMATS = /** @type {const} */ ([
  {
    format: 'hugging_face',
    label: 'Hugging Face directory',
    hint: 'The adapter merged into its base, for transformers and vLLM.',
    dtypes: ['bf16', 'f16', 'f32'],
  },
  {
    format: 'gguf',
    label: 'GGUF',
    hint: 'One file for llama.cpp and Ollama, with a Modelfile. q8_0 is quantised to 8 bits.',
    dtypes: ['f16', 'bf16', 'q8_0', 'f32'],
  },
  { format: 'peft_adapter', label: 'PEFT adapter', hint: 'The adapter as it was trained, with a full README.', dtypes: ['f32'] },
  {
    format: 'gguf_adapter',
    label: 'GGUF of the adapter',
    hint: "For llama.cpp's --lora, beside a GGUF of the base.",
    dtypes: ['f32', 'f16', 'bf16'],
  },
  { format: 'mlx_adapter', label: 'MLX adapter', hint: 'As mlx-lm reads it.', dtypes: ['f32'] },
]);

/** The name of a format, also of one that this page does not know. @param {string} format */
export const formatLabel = (format) => FORMATS.find((known) => known.format === format)?.label ?? format.replaceAll('_', ' ');

/** @param {{ status: string }} one */
export const isUnderWay = ({ status }) => status === 'queued' || status === 'running';
