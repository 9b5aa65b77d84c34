import { describe, expect, it } from 'vitest';
import { adapterCard } from '../../../../workers/engine/io/adapter-card.ts';

const hub = { name: 'org/base', revision: 'abc123' };

describe('adapterCard', () => {
  it('of a base from the hub › names it in the metadata, with its commit', () => {
    const card = adapterCard(hub, { rankStabilised: null });
    expect(card).toContain('base_model: org/base\n');
    expect(card).toContain('at the commit abc123');
    expect(card).not.toContain('llama.cpp');
  });

  it('of a base in a directory › says what it was called and how to give another place', () => {
    const card = adapterCard({ name: '/models/a "b"', revision: null }, { rankStabilised: null });
    expect(card).not.toContain('base_model:');
    expect(card).toContain('from_pretrained("/models/a \\"b\\"")');
  });

  it('of a base in GGUF › opens that file, whatever the directory was called', () => {
    const card = adapterCard({ name: 'org/base', revision: null, ggufFile: 'base.Q4_K.gguf' }, { rankStabilised: null });
    expect(card).toContain('from_pretrained("path/to/its/directory", gguf_file="base.Q4_K.gguf", dtype=torch.float32)');
    expect(card).not.toContain('base_model:');
  });

  it('of a multimodal base › opens the whole of it, at its commit', () => {
    const card = adapterCard(hub, { rankStabilised: null, isMultimodal: true });
    expect(card).toContain('AutoModelForImageTextToText.from_pretrained("org/base", revision="abc123")');
    expect(card).not.toContain('CausalLM');
  });

  it.each([
    ['nf4', 'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)'],
    ['int8', 'BitsAndBytesConfig(load_in_8bit=True)'],
  ] as const)('of a base that was held in %s › says how bitsandbytes loads it so', (quantization, settings) => {
    expect(adapterCard({ ...hub, quantization }, { rankStabilised: null })).toContain(settings);
    expect(adapterCard(hub, { rankStabilised: null })).not.toContain('BitsAndBytesConfig');
  });

  it('of a rank-stabilised adapter › gives the scale that llama.cpp needs: (α / r)·√r = α / √r', () => {
    expect(adapterCard(hub, { rankStabilised: 16 })).toContain('--lora-scaled adapter.gguf:4`');
  });
});
