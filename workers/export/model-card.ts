/** The README.md of an export: Hugging Face's metadata, how to use the files, and what is known of the model's origin. */
import { type ExportFormat, isOfAdapter } from '../../src/formats/export-format.ts';
import type { Lineage } from '../../src/formats/lineage.ts';
import type { MergeProof } from '../../src/formats/merge-proof.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';

/** Losses shown of a run, evenly spaced. */
const SHOWN_STEPS = 8;
/** `org/name`, which the hub knows. */
const HUB_NAME = /^[\w-][\w.-]*\/[\w-][\w.-]*$/;

export interface CardFacts {
  /** The tuned model's name. */
  name: string;
  base: string;
  format: ExportFormat;
  /** null for a job of an older version. */
  lineage: Lineage | null;
  receipt: TokenReceipt | null;
  /** In the order of steps. */
  metrics: readonly { step: number; metrics: Readonly<Record<string, number>> }[];
  warnings: readonly string[];
  proof: MergeProof | null;
  /** File names beside the card. */
  files: readonly string[];
  /** Whether the model also takes images. */
  isMultimodal: boolean;
  /** The lines of Python in the adapter's own README.md, which knows its base; null for other formats. */
  adapterUsage: string | null;
}

export function modelCard(facts: CardFacts): string {
  const { name, base, format, warnings } = facts;
  const library = { hugging_face: 'transformers', gguf: 'gguf', peft_adapter: 'peft', gguf_adapter: 'gguf', mlx_adapter: 'mlx' }[format];
  const metadata = [
    ...(HUB_NAME.test(base) ? [`base_model: ${base}`, `base_model_relation: ${isOfAdapter(format) ? 'adapter' : 'finetune'}`] : []),
    `library_name: ${library}`,
    'pipeline_tag: text-generation',
  ];
  const sections = [
    `# ${name}`,
    `${isOfAdapter(format) ? 'An adapter for' : 'A model tuned from'} \`${base}\` with Graft.`,
    usage(facts),
    origin(facts),
    curve(facts),
    ...(warnings.length > 0 ? [`## Differences\n\n${warnings.map((warning) => `- ${warning}`).join('\n')}`] : []),
  ];
  return `---\n${metadata.join('\n')}\n---\n${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

const WITH_PIPELINE = `from transformers import pipeline

generate = pipeline("text-generation", model="path/to/this/directory")
print(generate([{"role": "user", "content": "Hello"}]))`;

/** A pipeline for texts would open the language model alone, or nothing. */
const WITH_WHOLE_MODEL = `from transformers import AutoModelForImageTextToText, AutoTokenizer

model = AutoModelForImageTextToText.from_pretrained("path/to/this/directory")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/directory")
chat = [{"role": "user", "content": "Hello"}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0]))`;

function usage({ format, files, base, isMultimodal, adapterUsage }: CardFacts): string {
  const gguf = files.find((file) => file.endsWith('.gguf')) ?? '';
  const code = {
    hugging_face: ['python', isMultimodal ? WITH_WHOLE_MODEL : WITH_PIPELINE],
    gguf: ['sh', `llama-cli -m ${gguf}\nollama create my-model -f Modelfile`],
    peft_adapter: [
      'python',
      adapterUsage ??
        `from peft import AutoPeftModelForCausalLM\n\nmodel = AutoPeftModelForCausalLM.from_pretrained("path/to/this/directory")   # loads ${base}`,
    ],
    gguf_adapter: ['sh', `llama-cli -m base.gguf --lora ${gguf}   # base.gguf: ${base}`],
    mlx_adapter: ['sh', `mlx_lm.generate --model ${base} --adapter-path path/to/this/directory --prompt Hello`],
  }[format] as [string, string];
  return `## Use\n\n\`\`\`${code[0]}\n${code[1]}\n\`\`\``;
}

function origin({ lineage, receipt, proof }: CardFacts): string {
  const merged =
    proof === null ? [] : [['merge', `logits within ${proof.difference.toExponential(1)} of base and adapter, on ${proof.prompts} texts`]];
  if (lineage === null) return merged.length === 0 ? '' : `## Origin\n\n${rows(merged)}`;
  const { base_model: base, data, tuning, hyperparameters, step, total_steps: total, losses, versions, seed, job } = lineage;
  const dataset = ({ sha256, examples, tokens, supervised_tokens: learned }: Lineage['data']['training']) =>
    `${examples} examples, ${tokens} tokens of which ${learned} are learned, sha256 \`${sha256}\``;
  return `## Origin\n\n${rows([
    ['job', job ?? '–'],
    ['base model', `${base.name}${base.revision === null ? '' : ` at ${base.revision}`}, sha256 \`${base.sha256}\``],
    ['training data', dataset(data.training)],
    ...(data.validation === null ? [] : [['validation data', dataset(data.validation)]]),
    ...(receipt?.template == null ? [] : [['chat template', `\`${receipt.template.name}\``]]),
    ['tuning', `\`${JSON.stringify(tuning)}\``],
    ['hyperparameters', `\`${JSON.stringify(hyperparameters)}\``],
    ['steps', `${step} of ${total}, seed ${seed}`],
    ...(losses.train_loss === null ? [] : [['training loss', losses.train_loss.toFixed(4)]]),
    ...(losses.full_valid_loss === null ? [] : [['validation loss', losses.full_valid_loss.toFixed(4)]]),
    ...merged,
    ['versions', `Graft ${versions.graft}, TensorFlow ${versions.tensorflow}`],
  ])}`;
}

function curve({ metrics }: CardFacts): string {
  const every = Math.max(1, Math.ceil(metrics.length / SHOWN_STEPS));
  const shown = metrics.filter((_, index) => index % every === 0 || index === metrics.length - 1);
  if (shown.length < 2) return '';
  const number = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(4));
  const lines = shown.map(
    ({ step, metrics: of }) => `| ${step} | ${number(of['train_loss'])} | ${number(of['full_valid_loss'] ?? of['valid_loss'])} |`,
  );
  return `## Losses\n\n| step | training | validation |\n| --- | --- | --- |\n${lines.join('\n')}`;
}

const rows = (pairs: readonly (readonly string[])[]): string => `| | |\n| --- | --- |\n${pairs.map((pair) => `| ${pair.join(' | ')} |`).join('\n')}`;
