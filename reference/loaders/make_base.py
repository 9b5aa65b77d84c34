"""
Writes a small model of SmolLM2's shape, with random weights and GPT-2's tokenizer, whose ids llama.cpp's converter knows:

    python make_base.py FOLDER INTO      FOLDER has GPT-2's vocab.json and merges.txt
"""

import sys

import torch
from transformers import GPT2Tokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

# ChatML, as SmolLM2 writes it.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def main(folder: str, into: str) -> None:
    logging.disable_progress_bar()
    torch.manual_seed(1)
    tokenizer = GPT2Tokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "additional_special_tokens": ["<|im_start|>"]})
    tokenizer.chat_template = TEMPLATE
    # SmolLM2-135M's nine heads, three for each key-value head, with an MLP 8/3 as wide and a tied head. Weights are large, so that each token matters.
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=144,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        rope_theta=100000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(into)
    tokenizer.save_pretrained(into)


if __name__ == "__main__":
    main(*sys.argv[1:])
