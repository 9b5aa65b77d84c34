/** What the form of a new job offers, as tables. Another method, objective or setting is a line here. */

/**
 * `isList`: names between commas; `isLines`: one a line; `isJson`: an object; `options`: only these. `initial`: what it has at first.
 * `drawn`: how a sweep draws it from a range, if not any number evenly.
 * @typedef {{
 *   name: string, label: string, hint?: string, placeholder?: string, initial?: string,
 *   options?: readonly string[], isList?: boolean, isLines?: boolean, isJson?: boolean, isText?: boolean,
 *   drawn?: 'log' | 'integer',
 * }} Field
 */
/** @typedef {{ type: string, label: string, hint: string, fields: readonly Field[] }} Kind */
/** What the lines of a dataset are. @typedef {'supervised' | 'distilled' | 'preference' | 'labelled'} Family */

/** @type {Field} */
const VIRTUAL_TOKENS = { name: 'num_virtual_tokens', label: 'Virtual tokens', hint: 'Before each text.', placeholder: '20', drawn: 'integer' };
/** @type {Field} */
const FAMILY_LAYERS = {
  name: 'target_modules',
  label: 'Layers',
  hint: 'Such as q_proj, v_proj.',
  placeholder: "PEFT's for the family",
  isList: true,
};

/** What is trained: `tuning`. @type {readonly Kind[]} */
export const METHODS = [
  {
    type: 'lora',
    label: 'LoRA',
    hint: 'Trains a small adapter beside the model. A file of megabytes.',
    fields: [
      { name: 'r', label: 'Rank (r)', hint: '1 to 256.', placeholder: '16', drawn: 'integer' },
      { name: 'lora_alpha', label: 'Alpha', hint: 'The update is scaled by alpha / r.', placeholder: '2 × r' },
      { name: 'lora_dropout', label: 'Dropout', placeholder: '0' },
      { name: 'target_modules', label: 'Layers', hint: 'Such as q_proj, v_proj.', placeholder: 'all linear', isList: true },
    ],
  },
  { type: 'full', label: 'Full', hint: 'Trains every weight. More memory; the result is a whole model.', fields: [] },
  { type: 'ia3', label: '(IA)³', hint: 'Trains a vector for each layer. Very small.', fields: [FAMILY_LAYERS] },
  {
    type: 'vera',
    label: 'VeRA',
    hint: 'Trains two vectors for each layer, between random matrices.',
    fields: [{ name: 'r', label: 'Rank (r)', hint: 'Of the random matrices.', placeholder: '256', drawn: 'integer' }, FAMILY_LAYERS],
  },
  { type: 'prompt', label: 'Prompt tuning', hint: 'Trains embeddings before each text.', fields: [VIRTUAL_TOKENS] },
  { type: 'prefix', label: 'Prefix tuning', hint: 'Trains keys and values before each text.', fields: [VIRTUAL_TOKENS] },
  { type: 'bitfit', label: 'BitFit', hint: 'Trains the biases, if the model has any. The result is a whole model.', fields: [] },
];

/** @type {Field} */
const SMOOTHING = { name: 'label_smoothing', label: 'Label smoothing', hint: 'Chance that a preference is the wrong way round.', placeholder: '0' };

/**
 * What it learns from the examples: `method`, with the hyperparameters that it alone has. `examples`: what the lines of its files are.
 * @type {readonly (Kind & { examples: readonly Family[] })[]}
 */
export const OBJECTIVES = [
  { type: 'supervised', label: 'Supervised', hint: 'Learns to write the answers of the file.', examples: ['supervised', 'distilled'], fields: [] },
  {
    type: 'distillation',
    label: 'Distillation',
    hint: 'Learns how probable a teacher found the tokens of its answers, and others in their place.',
    examples: ['distilled'],
    fields: [
      { name: 'kd_alpha', label: 'Weight of the teacher', placeholder: '0.9' },
      { name: 'kd_ce_alpha', label: 'Weight of the tokens themselves', placeholder: '0.1' },
      { name: 'kd_temperature', label: 'Temperature', hint: 'Above 1, less probable tokens count more.', placeholder: '1' },
    ],
  },
  {
    type: 'dpo',
    label: 'DPO',
    hint: 'Learns which of two answers is the better one, held to the model that it starts from.',
    examples: ['preference'],
    fields: [
      { name: 'beta', label: 'Beta', hint: 'How strongly it is held.', placeholder: '0.1' },
      { name: 'loss_type', label: 'Loss', hint: 'sigmoid is DPO as published.', options: ['sigmoid', 'ipo', 'hinge'] },
      SMOOTHING,
      { name: 'rpo_alpha', label: 'RPO alpha', hint: "Weight of the better answer's own loss.", placeholder: '0' },
    ],
  },
  {
    type: 'orpo',
    label: 'ORPO',
    hint: 'Learns the better answers, and which answers are better, at once.',
    examples: ['preference'],
    fields: [{ name: 'beta', label: 'Beta', hint: 'Weight of the odds ratio.', placeholder: '0.1' }],
  },
  {
    type: 'simpo',
    label: 'SimPO',
    hint: 'Learns to prefer the better answer per token, without the model that it starts from.',
    examples: ['preference'],
    fields: [
      { name: 'beta', label: 'Beta', hint: 'Scale of what is compared.', placeholder: '2' },
      { name: 'simpo_gamma', label: 'Gamma', hint: 'How far the better answer should be ahead.', placeholder: '0.5' },
      { name: 'cpo_alpha', label: 'CPO alpha', hint: "Weight of the better answer's own loss.", placeholder: '0' },
      SMOOTHING,
    ],
  },
  {
    type: 'kto',
    label: 'KTO',
    hint: 'Learns from answers that are each called good or bad, or from pairs.',
    examples: ['labelled', 'preference'],
    fields: [
      { name: 'beta', label: 'Beta', hint: 'How strongly it is held to the model that it starts from.', placeholder: '0.1' },
      { name: 'loss_type', label: 'Loss', hint: 'kto is KTO as published.', options: ['kto', 'apo_zero_unpaired'] },
      { name: 'desirable_weight', label: 'Weight of good answers', placeholder: '1' },
      { name: 'undesirable_weight', label: 'Weight of bad answers', placeholder: '1' },
    ],
  },
];

/** @type {readonly Field[]} */
export const MAIN_FIELDS = [
  { name: 'n_epochs', label: 'Epochs', hint: 'Passes over the file.', drawn: 'integer' },
  { name: 'batch_size', label: 'Batch size', hint: 'Examples per step.', drawn: 'integer' },
  { name: 'learning_rate', label: 'Learning rate', hint: 'Of AdamW, at its peak.', drawn: 'log' },
];

/** @type {readonly Field[]} */
export const MORE_FIELDS = [
  {
    name: 'lr_scheduler_type',
    label: 'Schedule',
    hint: 'How the rate falls.',
    options: ['linear', 'cosine', 'constant', 'constant_with_warmup', 'cosine_with_restarts', 'polynomial', 'inverse_sqrt'],
  },
  { name: 'warmup_ratio', label: 'Warm-up', hint: 'Share of the steps.' },
  { name: 'weight_decay', label: 'Weight decay', hint: 'Of matrices.' },
  { name: 'optim', label: 'Optimizer', hint: 'adamw_8bit: a quarter of its memory.', options: ['adamw_torch', 'adamw_8bit'] },
  { name: 'optimizer_in_bwd', label: 'Update while gradients arise', hint: 'Less memory; needs gradient clip 0.', options: ['true', 'false'] },
  { name: 'max_grad_norm', label: 'Gradient clip', hint: '0 turns it off.' },
  { name: 'max_length', label: 'Longest example', hint: 'In tokens.', drawn: 'integer' },
  { name: 'truncation', label: 'Longer ones are', hint: 'error: the job fails.', options: ['error', 'right', 'left', 'drop'] },
  { name: 'eval_steps', label: 'Evaluate every', hint: 'Steps.', drawn: 'integer' },
  { name: 'save_steps', label: 'Checkpoint every', hint: 'Steps; 0: each epoch.', drawn: 'integer' },
  { name: 'precision', label: 'Precision', hint: 'Of matrix products.', options: ['f32', 'bf16'] },
  { name: 'quantization', label: 'Frozen weights', hint: 'In 4 or 8 bits: less memory. For adapters.', options: ['nf4', 'int8'] },
];

/** @type {readonly { name: string, label: string, hint: string, hyperparameters: Record<string, string>, r: string }[]} */
export const PRESETS = [
  { name: 'auto', label: 'By the data', hint: 'Epochs and batch size follow from the number of examples.', hyperparameters: {}, r: '' },
  { name: 'quick', label: 'Quick look', hint: 'One epoch, rank 8: is the data any good?', hyperparameters: { n_epochs: '1' }, r: '8' },
  {
    name: 'thorough',
    label: 'Thorough',
    hint: 'Five epochs, rank 32, a cosine schedule.',
    hyperparameters: { n_epochs: '5', lr_scheduler_type: 'cosine', warmup_ratio: '0.05' },
    r: '32',
  },
];

/** @type {Field} */
const REFERENCE = {
  name: 'reference',
  label: 'Compared with',
  hint: 'The answer of the example.',
  initial: '{{item.reference_answer}}',
  isText: true,
};
const SIMILARITIES = ['fuzzy_match', 'bleu', 'gleu', 'rouge_1', 'rouge_2', 'rouge_3', 'rouge_4', 'rouge_5', 'rouge_l'];

/** The grader that is written as JSON: what the table has no fields for. */
export const AS_JSON = 'json';

/** @type {readonly (Kind & { name: string })[]} `name`: what an evaluation of the kind is called at first */
export const GRADERS = [
  {
    type: 'label_match',
    name: 'accuracy',
    label: 'The right label',
    hint: 'Its mean is the accuracy.',
    fields: [{ name: 'labels', label: 'Labels', hint: 'One a line, two or more.', isLines: true }, REFERENCE],
  },
  {
    type: 'string_check',
    name: 'exact',
    label: 'The same text',
    hint: '1 or 0.',
    fields: [
      {
        name: 'operation',
        label: 'It counts if it',
        hint: 'eq: is the same; like: contains it.',
        options: ['eq', 'ne', 'like', 'ilike'],
        initial: 'eq',
      },
      REFERENCE,
    ],
  },
  {
    type: 'text_similarity',
    name: 'similar',
    label: 'Similar text',
    hint: 'From 0 to 1.',
    fields: [{ name: 'evaluation_metric', label: 'Measured as', options: SIMILARITIES, initial: 'fuzzy_match' }, REFERENCE],
  },
  {
    type: 'regex_match',
    name: 'pattern',
    label: 'A regular expression',
    hint: '1 if it is found.',
    fields: [{ name: 'pattern', label: 'Pattern', hint: 'As in JavaScript, with the flag u.', isText: true }],
  },
  {
    type: 'json_schema',
    name: 'valid_json',
    label: 'Valid JSON',
    hint: '1 if the schema accepts it.',
    fields: [{ name: 'schema', label: 'Schema', hint: 'JSON Schema, draft 2020-12.', initial: '{"type": "object"}', isJson: true }],
  },
  {
    type: AS_JSON,
    name: '',
    label: 'Another, as JSON',
    hint: 'As the API takes it.',
    fields: [{ name: AS_JSON, label: 'Grader', hint: 'With type and name.', isJson: true }],
  },
];
