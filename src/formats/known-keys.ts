/** The keys that lines of a dataset have: those of OpenAI's fine-tuning and chat formats, of TRL's dataset formats, and of common public datasets. */

/** Keys that training uses. Whether the chat template shows calls and reasoning of a turn is checked where the turn is rendered. */
export const USED = {
  example: new Set(['messages', 'tools', 'chat_template_kwargs', 'prompt', 'completion', 'text', 'weight']),
  message: new Set(['role', 'content', 'weight', 'tool_calls', 'reasoning_content', 'reasoning', 'thinking']),
  part: new Set(['type', 'text']),
} as const satisfies Record<string, ReadonlySet<string>>;

const MESSAGES = 'Write "messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}].';
const SYSTEM = 'Write it as the first message, {"role": "system", "content": "..."}.';
const PROMPT = 'Write {"prompt": "...", "completion": "..."}, or messages.';
const TEXT_ONLY = 'Only text is supported.';
const TOKENISED = 'Give the text: Graft tokenises it, with the tokenizer of the model.';
const PREFERENCE = 'It is part of a preference pair, which methods such as "dpo" learn from.';
const IN_MESSAGE = 'It belongs into a message, as in {"role": "assistant", "content": "..."}.';
const IN_KWARGS = 'Write it into "chat_template_kwargs", whose entries the chat template sees.';

/** Keys whose meaning would change training, but which are not understood in this form: what to write instead. */
export const INSTEAD: { readonly [owner in keyof typeof USED]: Readonly<Record<string, string>> } = {
  example: {
    functions: 'It is OpenAI\'s former name of tools: write "tools": [{"type": "function", "function": {...}}], one for each function.',
    ...{ conversations: MESSAGES, conversation: MESSAGES, dialog: MESSAGES, dialogue: MESSAGES, turns: MESSAGES, history: MESSAGES },
    ...{ system: SYSTEM, system_prompt: SYSTEM, system_message: SYSTEM },
    ...{ instruction: PROMPT, input: PROMPT, output: PROMPT, question: PROMPT, answer: PROMPT, query: PROMPT, response: PROMPT },
    ...{ image: TEXT_ONLY, images: TEXT_ONLY, audio: TEXT_ONLY, audios: TEXT_ONLY, video: TEXT_ONLY, videos: TEXT_ONLY },
    ...{ input_ids: TOKENISED, attention_mask: TOKENISED, position_ids: TOKENISED, token_type_ids: TOKENISED, seq_lengths: TOKENISED },
    ...{ labels: TOKENISED, completion_mask: TOKENISED, assistant_masks: TOKENISED },
    ...{ chosen: PREFERENCE, rejected: PREFERENCE, preferred_output: PREFERENCE, non_preferred_output: PREFERENCE },
    ...{ role: IN_MESSAGE, content: IN_MESSAGE, tool_calls: IN_MESSAGE },
    ...{ documents: IN_KWARGS, enable_thinking: IN_KWARGS, date_string: IN_KWARGS },
    chat_template: 'Give it to the job, in method.supervised.chat_template.',
  },
  message: {
    ...{ audio: TEXT_ONLY, image: TEXT_ONLY, images: TEXT_ONLY, video: TEXT_ONLY, videos: TEXT_ONLY },
    // Translating it would mean to invent the ids that templates write, and its result, of the role "function", would have to follow.
    function_call:
      'OpenAI replaced it by "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": ..., "arguments": ...}}], with the result in a message of the role "tool".',
    refusal: 'Write what the assistant should answer as its content.',
    ...{ from: 'Write it as "role".', value: 'Write it as "content".', text: 'Write it as "content".' },
    ...{ tools: 'It belongs beside "messages": {"messages": [...], "tools": [...]}.', functions: 'Write "tools" beside "messages".' },
  },
  part: {},
};

/** Parameters of OpenAI's requests, as in stored completions: they describe how an answer was made, not what is learned. */
const REQUEST_PARAMETERS = [
  ...['model', 'temperature', 'top_p', 'top_k', 'n', 'stream', 'stop', 'max_tokens', 'max_completion_tokens', 'presence_penalty', 'user', 'seed'],
  ...['frequency_penalty', 'logit_bias', 'logprobs', 'top_logprobs', 'tool_choice', 'function_call', 'parallel_tool_calls', 'response_format'],
  ...['reasoning_effort', 'store', 'service_tier', 'modalities', 'prediction', 'verbosity', 'custom_id', 'object', 'usage', 'choices', 'name'],
];

/** Known keys that change nothing. */
export const UNUSED: { readonly [owner in keyof typeof USED]: ReadonlySet<string> } = {
  example: new Set(REQUEST_PARAMETERS),
  message: new Set(['name', 'tool_call_id', 'annotations', 'status', 'phase', 'logprobs']),
  part: new Set(['annotations', 'cache_control']),
};

const DESCRIPTIONS =
  'id ids idx index uuid guid hash sha256 key source sources origin dataset subset split domain category categories topic topics task tag tags lang language ' +
  'locale license licence url uri link title author date time timestamp created updated version score scores rating quality difficulty count length tokens ' +
  'name meta metadata info note notes comment comments generator model type';

/** `id`, `prompt_id`, `num_turns`, `is_english`, `__index_level_0__` */
const DESCRIPTIVE = new RegExp(`^((.*_)?(${DESCRIPTIONS.replaceAll(' ', '|')})|(num|n|is|has|meta|metadata)_.+|created_at|updated_at|__.+__)$`);

/** Whether a key, by its name, only describes its line, as those of public datasets do. */
export const isDescriptive = (key: string): boolean => DESCRIPTIVE.test(key);

/** Whether a line of a dataset may have a key. */
export const couldDescribe = (key: string): boolean => USED.example.has(key) || UNUSED.example.has(key) || isDescriptive(key);
