"""Measures a training step of transformers + PEFT on PyTorch, to compare with bench/step.ts. The weights are random, in SmolLM2-135M's shape or that of a
config.json. It runs on a GPU if PyTorch finds one; its peak is then that of the GPU's memory.

peft_step.py --method lora|full --precision f32|bf16 --rows 4 --length 256 --steps 6 [--compile] [--config FILE]      prints one JSON line
"""

import argparse
import json
import resource
import time

import torch
from peft import LoraConfig, get_peft_model
from smollm import random_model, random_model_of

parser = argparse.ArgumentParser()
parser.add_argument("--method", choices=["lora", "full"], default="lora")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
parser.add_argument("--rows", type=int, default=4)
parser.add_argument("--length", type=int, default=256)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--rank", type=int, default=16)
parser.add_argument("--compile", action="store_true")
parser.add_argument("--config")
options = parser.parse_args()

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = random_model(options.precision) if options.config is None else random_model_of(options.config, options.precision)
if options.method == "lora":
    model = get_peft_model(model, LoraConfig(r=options.rank, lora_alpha=2 * options.rank, target_modules="all-linear"))
model.to(device).train()
if options.compile:
    model = torch.compile(model)
trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=1e-4)
ids = torch.randint(0, model.config.vocab_size, (options.rows, options.length), device=device)

seconds = []
for _ in range(options.steps):
    started = time.perf_counter()
    model(input_ids=ids, labels=ids).loss.backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds.append(time.perf_counter() - started)

own_peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
step_seconds = sorted(seconds[1:])[len(seconds[1:]) // 2]
print(
    json.dumps(
        {
            "peer": "transformers + PEFT" + (", torch.compile" if options.compile else ""),
            "method": options.method,
            "precision": options.precision,
            "stepSeconds": step_seconds,
            "firstStepSeconds": seconds[0],
            "tokensPerSecond": options.rows * options.length / step_seconds,
            "peakMemoryMb": own_peak_mb if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20,
        }
    )
)
