/** The reference fixtures that cover each family. */

export interface Family {
  name: string;
  /** Tiny random models, by their folders in test/fixtures/reference. */
  fixtures: readonly (readonly [kind: string, name: string])[];
  /** Kinds of tokenizers that its models use. */
  tokenizers: readonly string[];
  /** Chat templates of its models; none if it has only base models. */
  templates: readonly string[];
}

const families = (...names: string[]) => names.map((name) => ['families', name] as const);

export const FAMILIES: readonly Family[] = [
  {
    name: 'Llama and SmolLM2: grouped queries and tied head; biases and own head',
    fixtures: [
      ['cases', 'llama-gqa-tied'],
      ['cases', 'llama-untied-v4'],
    ],
    tokenizers: ['llama2', 'llama3', 'smollm'],
    templates: ['llama2', 'llama3.1', 'llama3.2', 'smollm2'],
  },
  {
    name: 'Llama with dynamic and YaRN scaling',
    fixtures: families('llama-dynamic-rope', 'llama-yarn-rope'),
    tokenizers: ['llama2', 'llama3'],
    templates: ['llama2', 'llama3.1', 'llama3.2'],
  },
  { name: 'SmolLM3', fixtures: families('smollm3'), tokenizers: ['llama3'], templates: ['smollm3'] },
  {
    name: 'Mistral, with and without its window',
    fixtures: families('mistral', 'mistral-no-window'),
    tokenizers: ['mistral'],
    templates: ['mistral-v0.3', 'zephyr'],
  },
  { name: 'Ministral 3', fixtures: families('ministral3'), tokenizers: ['mistral'], templates: [] },
  { name: 'Mistral 3 with vision, on texts', fixtures: families('mistral3-vision'), tokenizers: ['mistral'], templates: [] },
  { name: 'Granite 3, and 4 where it is dense', fixtures: families('granite', 'granite4'), tokenizers: [], templates: [] },
  {
    name: 'Granite 3 MoE, experts with and without an MLP beside them',
    fixtures: families('granite-moe', 'granite-moe-shared'),
    tokenizers: [],
    templates: [],
  },
  { name: 'Granite 4 hybrid, Mamba layers', fixtures: families('granite4-hybrid'), tokenizers: [], templates: [] },
  { name: 'Granite 4 hybrid, Mamba layers and experts', fixtures: families('granite4-experts'), tokenizers: [], templates: [] },
  { name: 'Qwen 2 and 2.5, with and without windows', fixtures: families('qwen2', 'qwen2-sliding'), tokenizers: ['qwen'], templates: ['qwen2.5'] },
  { name: 'Qwen 3', fixtures: families('qwen3'), tokenizers: ['qwen'], templates: ['qwen3'] },
  { name: 'Qwen 3.5, delta nets and gated attention', fixtures: families('qwen3.5'), tokenizers: ['qwen'], templates: [] },
  { name: 'Qwen 3.5 with vision, on texts', fixtures: families('qwen3.5-vision'), tokenizers: ['qwen'], templates: [] },
  { name: 'Qwen 3 VL, on texts', fixtures: families('qwen3-vl'), tokenizers: ['qwen'], templates: [] },
  { name: 'Gemma', fixtures: families('gemma'), tokenizers: ['gemma'], templates: ['gemma2'] },
  { name: 'Gemma 2', fixtures: families('gemma2'), tokenizers: ['gemma'], templates: ['gemma2'] },
  { name: 'Gemma 3, plain and stretched', fixtures: families('gemma3', 'gemma3-scaled'), tokenizers: ['gemma'], templates: ['gemma3'] },
  { name: 'Gemma 3 with vision, on texts', fixtures: families('gemma3-vision'), tokenizers: ['gemma'], templates: ['gemma3'] },
  { name: 'Gemma 4 with vision, on texts', fixtures: families('gemma4-vision'), tokenizers: ['gemma'], templates: [] },
  {
    name: 'Gemma 4 (text), with and without inputs for each layer',
    fixtures: families('gemma4', 'gemma4-plain'),
    tokenizers: ['gemma'],
    templates: [],
  },
  {
    name: 'Phi-3, with partial rotary positions and LongRoPE',
    fixtures: families('phi3', 'phi3-partial', 'phi3-longrope'),
    tokenizers: ['phi3'],
    templates: ['phi3'],
  },
  { name: 'OLMo 2', fixtures: families('olmo2'), tokenizers: ['llama3'], templates: ['olmo2'] },
  { name: 'OLMo 3, windows beside YaRN', fixtures: families('olmo3'), tokenizers: ['llama3'], templates: [] },
  { name: 'GLM 4', fixtures: families('glm4'), tokenizers: [], templates: [] },
  { name: 'Qwen 3 MoE', fixtures: families('qwen3-moe'), tokenizers: ['qwen'], templates: ['qwen3'] },
  { name: 'Qwen3-Next, delta nets and experts', fixtures: families('qwen3-next'), tokenizers: ['qwen'], templates: [] },
  { name: 'Mixtral', fixtures: families('mixtral'), tokenizers: ['mistral'], templates: [] },
  { name: 'Llama 4 (text)', fixtures: families('llama4'), tokenizers: [], templates: [] },
  { name: 'gpt-oss, experts and attention sinks', fixtures: families('gpt-oss'), tokenizers: [], templates: [] },
  { name: 'LFM2, short convolutions', fixtures: families('lfm2'), tokenizers: [], templates: [] },
  { name: 'GPT-2', fixtures: families('gpt2'), tokenizers: ['gpt2'], templates: [] },
  {
    name: 'GPT-NeoX and Pythia, parallel and sequential',
    fixtures: families('gpt-neox', 'gpt-neox-sequential'),
    tokenizers: ['gpt-neox'],
    templates: ['zephyr-neox'],
  },
];
