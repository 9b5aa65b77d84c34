import { describe, expect, it } from 'vitest';
import { type CardFacts, modelCard } from '../../workers/export/model-card.ts';

const facts: CardFacts = {
  name: 'ft:base:graft::AbCd1234',
  base: 'org/base',
  format: 'hugging_face',
  lineage: null,
  receipt: null,
  metrics: [],
  warnings: [],
  proof: null,
  files: ['config.json', 'model.safetensors'],
  isMultimodal: false,
  adapterUsage: null,
};

describe('modelCard', () => {
  it('of a merged model that takes images › opens the whole of it', () => {
    expect(modelCard({ ...facts, isMultimodal: true })).toContain('AutoModelForImageTextToText.from_pretrained("path/to/this/directory")');
    expect(modelCard(facts)).not.toContain('AutoModelForImageTextToText');
  });

  it("of an adapter › has the lines of the adapter's own card, which knows its base", () => {
    const card = modelCard({ ...facts, format: 'peft_adapter', adapterUsage: 'base = open("somewhere else")' });
    expect(card).toContain('```python\nbase = open("somewhere else")\n```');
    expect(card).not.toContain('AutoPeftModelForCausalLM');
  });
});
