"""
Writes a GGUF file as a Hugging Face directory in f32:

    python dequantise.py FILE INTO      needs PyPI's gguf on PYTHONPATH
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging


def main(file: Path, into: str) -> None:
    logging.disable_progress_bar()
    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    config = read.config
    # The values are those of a model without quantisation now, but transformers does not save it while its configuration says otherwise.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(into)
    AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(into)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
