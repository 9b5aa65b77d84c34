/** The README.md of an adapter's directory: Hugging Face's metadata, and how to load the adapter on its base. */

import type { Quantization } from '../../../src/formats/quantization.ts';

/** The file's name, as PEFT and the hub have it. */
export const CARD_FILE = 'README.md';

/** `org/name`, which the hub knows; neither a path nor the name of a directory. */
const HUB_NAME = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

interface Base {
  /** PEFT's `base_model_name_or_path`. */
  name: string;
  /** Its commit on the hub; null if it is not known. */
  revision: string | null;
  /** Of a base that was read from a GGUF file: the file's name. Default: null. */
  ggufFile?: string | null;
  /** How its frozen weights were held in training; default: not quantised. */
  quantization?: Quantization | undefined;
}

/** What a card calls the adapter's method, and its tag on the hub. */
export interface CardMethod {
  name: string;
  tag: string;
}

const LORA: CardMethod = { name: 'LoRA', tag: 'lora' };

interface CardOptions {
  /** Default: LoRA. */
  method?: CardMethod;
  /** The rank of an adapter that was trained with `use_rslora`; null for others. */
  rankStabilised: number | null;
  /** Whether the base is a multimodal model, of which PEFT by itself would open another part, or none. Default: false. */
  isMultimodal?: boolean;
}

export function adapterCard(
  { name, revision, ggufFile = null, quantization }: Base,
  { method = LORA, rankStabilised, isMultimodal = false }: CardOptions,
): string {
  const onHub = ggufFile === null && HUB_NAME.test(name);
  const metadata = [...(onHub ? [`base_model: ${name}`] : []), 'library_name: peft', 'pipeline_tag: text-generation', 'tags:', `- ${method.tag}`];
  return `---
${metadata.join('\n')}
---
# ${method.name} adapter for ${name}

${ggufFile !== null ? ofGguf(ggufFile) : isMultimodal ? ofWhole({ name, revision: onHub ? revision : null }) : onHub ? ofHub({ name, revision }) : ofDirectory(name)}${quantization === undefined ? '' : ofQuantized(quantization)}${rankStabilised === null ? '' : inLlamaCpp(rankStabilised)}`;
}

/** Its converter writes lora_alpha alone, and the library divides it by r, not by √r. */
const inLlamaCpp = (r: number): string => `
llama.cpp does not know \`use_rslora\`: run a GGUF of this adapter with \`--lora-scaled adapter.gguf:${Math.sqrt(r)}\`, or it has too little effect.
`;

const SETTINGS: Readonly<Record<Quantization, string>> = {
  nf4: 'load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True',
  int8: 'load_in_8bit=True',
};

const ofQuantized = (quantization: Quantization): string => `
In training, the linear layers of the base were held in ${quantization === 'nf4' ? 'NF4 (QLoRA)' : 'int8'}. To load it in the same way, give \`from_pretrained\` this:

\`\`\`python
from transformers import BitsAndBytesConfig

quantization_config = BitsAndBytesConfig(${SETTINGS[quantization]})
\`\`\`
${quantization === 'int8' ? '\nbitsandbytes then rounds what the layers are given to int8 too, which training did not.\n' : ''}
The adapter also fits the base as it is; merge it into that one.
`;

const ofHub = ({ name, revision }: Base): string => `The base model is [${name}](https://huggingface.co/${name})${
  revision === null ? '' : `, at the commit ${revision}`
}. PEFT finds it by itself:

\`\`\`python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/directory")
\`\`\`
`;

/** JSON's strings are Python's, but for what no path has. */
const ofDirectory = (
  name: string,
): string => `The base model is a directory on the machine where the adapter was trained, so \`base_model_name_or_path\` in \`adapter_config.json\` is what it was
called there: ${JSON.stringify(name)}. Where such a directory exists (a relative name is looked for in the directory that Python runs in), PEFT finds it by itself, through
\`AutoPeftModelForCausalLM.from_pretrained\`. Anywhere else, say where the base is:

\`\`\`python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(name)})  # or wherever the same model is now
model = PeftModel.from_pretrained(base, "path/to/this/directory")
\`\`\`
`;

const ofGguf = (
  file: string,
): string => `The base model is the GGUF file ${JSON.stringify(file)}, with the values that its types stand for. transformers opens it the same way, with
PyPI's \`gguf\` installed:

\`\`\`python
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("path/to/its/directory", gguf_file=${JSON.stringify(file)}, dtype=torch.float32)
model = PeftModel.from_pretrained(base, "path/to/this/directory")
\`\`\`
`;

const ofWhole = ({ name, revision }: Base): string => `The base is a model that also takes images. Its language model was tuned; open the whole:

\`\`\`python
from peft import PeftModel
from transformers import AutoModelForImageTextToText

base = AutoModelForImageTextToText.from_pretrained(${JSON.stringify(name)}${revision === null ? '' : `, revision="${revision}"`})  # or wherever the same model is now
model = PeftModel.from_pretrained(base, "path/to/this/directory")
\`\`\`
`;
