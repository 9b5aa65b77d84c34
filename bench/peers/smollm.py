"""The model with which the peers are measured: SmolLM2-135M's shape with random weights."""

import os

import torch
from transformers import LlamaConfig, LlamaForCausalLM


def random_model(precision: str) -> LlamaForCausalLM:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49152,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).to({"f32": torch.float32, "bf16": torch.bfloat16}[precision])
