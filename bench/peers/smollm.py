"""The models with which the peers are measured: SmolLM2-135M's shape, or another, with random weights."""

import json
import os

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


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
    return LlamaForCausalLM(config).to(DTYPES[precision])


def random_model_of(config_file: str, precision: str) -> PreTrainedModel:
    """The shape of a config.json. The weights are made in the precision, so that the peak of memory is not that of making them."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    with open(config_file) as file:
        config = AutoConfig.for_model(**json.load(file))
    return AutoModelForCausalLM.from_config(config, dtype=DTYPES[precision])
