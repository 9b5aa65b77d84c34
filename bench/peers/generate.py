"""Measures transformers' `generate`, to compare with bench/generation-speed.ts.

generate.py --model DIR --precision f32|bf16 --sequences 1 --prompt 128 --tokens 64      prints one JSON line
"""

import argparse
import json
import os
import resource
import time

import torch
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
parser.add_argument("--sequences", type=int, default=1)
parser.add_argument("--prompt", type=int, default=128)
parser.add_argument("--tokens", type=int, default=64)
options = parser.parse_args()

torch.set_num_threads(len(os.sched_getaffinity(0)))
model = AutoModelForCausalLM.from_pretrained(options.model, dtype={"f32": torch.float32, "bf16": torch.bfloat16}[options.precision]).eval()
model.generation_config.eos_token_id = None
prompts = torch.randint(model.config.vocab_size, (options.sequences, options.prompt), generator=torch.Generator().manual_seed(0))


def seconds(tokens: int) -> float:
    started = time.perf_counter()
    model.generate(input_ids=prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=tokens, do_sample=False)
    return time.perf_counter() - started


seconds(2)
prefill = seconds(1)
whole = seconds(1 + options.tokens)
print(
    json.dumps(
        {
            "prefillPerSecond": options.sequences * options.prompt / prefill,
            "decodePerSecond": options.sequences * options.tokens / (whole - prefill),
            "peakMemoryMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
)
