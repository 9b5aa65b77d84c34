"""Writes the model with which generation is measured, as a Hugging Face directory and for llama.cpp: python write_model.py DIRECTORY GGUF_F32 GGUF_BF16.

The weights are random, in SmolLM2-135M's shape. llama.cpp's own `gguf` must be on PYTHONPATH. Queries and keys are written in transformers' order of dimensions,
not in llama.cpp's: that changes what random weights compute, but not how fast.
"""

import sys

import gguf
import torch
from smollm import random_model

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def main(directory: str, *files: str) -> None:
    torch.manual_seed(0)
    model = random_model("bf16")
    model.config.eos_token_id = model.generation_config.eos_token_id = None  # every answer is as long as asked
    model.save_pretrained(directory)
    for file, dtype in zip(files, (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.BF16), strict=True):
        _write(file, model, dtype)


def _write(file: str, model: torch.nn.Module, dtype: gguf.GGMLQuantizationType) -> None:
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32 if dtype == gguf.GGMLQuantizationType.F32 else gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"<{token}>" for token in range(config.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges(["< 0"])
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":
            continue  # tied
        values = value.float().numpy()
        kind = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else dtype
        writer.add_tensor(_name(name), gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(name: str) -> str:
    module = name.removesuffix(".weight")
    if module in NAMES:
        return f"{NAMES[module]}.weight"
    layer, part = module.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{NAMES[part]}.weight"


if __name__ == "__main__":
    main(*sys.argv[1:])
