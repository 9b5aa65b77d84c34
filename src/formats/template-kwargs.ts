/**
 * Arguments of transformers' `apply_chat_template` that are no variables of the template: they say what is rendered and how it is tokenised, which
 * Graft decides. Python would refuse them too, or train on something else than the conversation.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...['conversation', 'messages', 'tools', 'chat_template', 'add_generation_prompt', 'continue_final_message', 'tokenize', 'tokenizer_kwargs'],
  ...['padding', 'truncation', 'max_length', 'return_tensors', 'return_dict', 'return_assistant_tokens_mask', 'sanitize_control_tokens'],
]);

/** @returns the first name that `chat_template_kwargs` must not have; null if all are free for the template */
export const reservedKwarg = (names: Iterable<string>): string | null => {
  for (const name of names) if (RESERVED.has(name)) return name;
  return null;
};
