"""
Writes a small model with random weights for every family that GGUF knows, with a tokenizer of its kind and a PEFT adapter:

    python make_models.py TOKENIZERS INTO      TOKENIZERS is test/fixtures/reference/tokenizers

INTO/NAME/model and INTO/NAME/adapter, and INTO/NAME/merged: what PEFT's `merge_and_unload` makes of them.
"""

import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

# Rows are multiples of 32, so that Q8_0 has whole blocks. Weights are large, so that each token matters.
SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2}
COMMON = {**SIZES, "max_position_embeddings": 256, "initializer_range": 0.2}
GEMMA = {"head_dim": 16, "initializer_range": 0.1, "query_pre_attn_scalar": 16, "sliding_window": 16}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0 + i / 8 for i in range(8)],
    "long_factor": [2.0 + i / 2 for i in range(8)],
    "original_max_position_embeddings": 512,
}
NEOX = {**SIZES, "rotary_pct": 0.5, "max_position_embeddings": 256, "initializer_range": 0.2}
GPT2 = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 256, "initializer_range": 0.2}

# name: (model_type, tokenizer, config)
MODELS = {
    "llama": ("llama", "smollm", {**COMMON, "tie_word_embeddings": True}),
    "llama-biases-untied": ("llama", "llama2", {**COMMON, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False}),
    "llama3": ("llama", "llama3", {**COMMON, "rope_parameters": LLAMA3}),
    "llama-yarn": ("llama", "llama3", {**COMMON, "rope_parameters": YARN}),
    "llama-linear": ("llama", "llama2", {**COMMON, "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}),
    "mistral": ("mistral", "mistral", {**COMMON, "head_dim": 16, "sliding_window": None}),
    "qwen2": ("qwen2", "qwen", COMMON),
    "qwen3": ("qwen3", "qwen", {**COMMON, "head_dim": 32}),
    "gemma": ("gemma", "gemma", {**COMMON, "head_dim": 16, "initializer_range": 0.1}),
    "gemma2": ("gemma2", "gemma", {**COMMON, **GEMMA}),
    "gemma3": ("gemma3_text", "gemma", {**COMMON, **GEMMA, "num_hidden_layers": 7}),
    "phi3": ("phi3", "phi3", {**COMMON, "sliding_window": None, "pad_token_id": 0, "original_max_position_embeddings": 256}),
    "phi3-longrope": ("phi3", "phi3", {**COMMON, "sliding_window": None, "pad_token_id": 0, "rope_parameters": LONGROPE, "max_position_embeddings": 1024, "original_max_position_embeddings": 512}),
    "gpt2": ("gpt2", "gpt2", GPT2),
    "gpt-neox": ("gpt_neox", "gpt-neox", NEOX),
    "gpt-neox-sequential": ("gpt_neox", "gpt-neox", {**NEOX, "use_parallel_residual": False}),
    "olmo2": ("olmo2", "llama3", {**COMMON, "pad_token_id": 0}),
    "smollm3": ("smollm3", "llama3", {**COMMON, "no_rope_layer_interval": 4, "pad_token_id": 0}),
}


def vocabulary(tokenizer: Path) -> int:
    from tokenizers import Tokenizer

    return -(-Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab_size() // 32) * 32


def make(kind: str, tokenizer: Path, fields: dict, into: Path) -> None:
    torch.manual_seed(1)
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, **{"pad_token_id": 0, **ends, **fields, "vocab_size": vocabulary(tokenizer)})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # What is 0 or 1 at first would hide whether it is used.
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(into / "model")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / file, into / "model" / file)
    torch.manual_seed(2)
    tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "lora_" in name:
                weight.mul_(2.0)
    tuned.save_pretrained(into / "adapter")
    tuned.merge_and_unload().save_pretrained(into / "merged")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / file, into / "merged" / file)


def main(tokenizers: str, into: str) -> None:
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    for name, (kind, tokenizer, fields) in MODELS.items():
        make(kind, Path(tokenizers) / tokenizer, fields, Path(into) / name)


if __name__ == "__main__":
    main(*sys.argv[1:])
