"""Measures an epoch of TRL's SFTTrainer with a PEFT LoRA, to compare with bench/sft.ts. The weights are random, in SmolLM2-135M's shape.

trl_sft.py --write-data FILE [--examples 48]                             writes examples of chat-like lengths and exits
trl_sft.py --data FILE --mode padded|packed --precision f32|bf16         prints one JSON line

Lengths are lognormal(4.8, 0.7), clipped to 24..512 tokens; the last 40% of each example is supervised; token ids are random. The seed is 0.
"""

import argparse
import json
import random
import resource
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--write-data")
parser.add_argument("--examples", type=int, default=48)
parser.add_argument("--data")
parser.add_argument("--mode", choices=["padded", "packed"], default="padded")
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
options = parser.parse_args()

if options.write_data:
    random.seed(0)
    with open(options.write_data, "w") as file:
        for _ in range(options.examples):
            length = min(512, max(24, int(random.lognormvariate(4.8, 0.7))))
            supervised = int(length * 0.4)
            ids = [random.randrange(2, 49152) for _ in range(length)]
            print(json.dumps({"input_ids": ids, "completion_mask": [0] * (length - supervised) + [1] * supervised}), file=file)
    raise SystemExit

from datasets import Dataset
from peft import LoraConfig
from smollm import random_model
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

with open(options.data) as file:
    rows = [json.loads(line) for line in file]
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel({str(i): i for i in range(10)}, unk_token="0")), pad_token="0", eos_token="1", unk_token="0"
)
arguments = SFTConfig(
    output_dir=tempfile.mkdtemp(),
    # Packed, two rows of 512 tokens hold about as many examples as eight padded rows.
    per_device_train_batch_size=8 if options.mode == "padded" else 2,
    packing=options.mode == "packed",
    max_length=512,
    num_train_epochs=1,
    completion_only_loss=True,
    gradient_checkpointing=False,
    use_cpu=True,
    bf16=False,
    report_to=[],
    save_strategy="no",
    logging_steps=1000,
    disable_tqdm=True,
)
trainer = SFTTrainer(
    model=random_model(options.precision),
    args=arguments,
    train_dataset=Dataset.from_list(rows),
    processing_class=tokenizer,
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
started = time.perf_counter()
trainer.train()
seconds = time.perf_counter() - started
tokens = sum(len(row["input_ids"]) for row in rows)
supervised = sum(sum(row["completion_mask"]) for row in rows)
print(
    json.dumps(
        {
            "peer": f"TRL, {options.mode}",
            "precision": options.precision,
            "examples": len(rows),
            "tokens": tokens,
            "seconds": seconds,
            "tokensPerSecond": tokens / seconds,
            "supervisedPerSecond": supervised / seconds,
            "peakMemoryMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
)
