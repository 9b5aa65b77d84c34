"""
Writes small random multimodal models with the tokenizer of a fixture, so that the engine can train them.

    python make_multimodal.py FOLDER      writes FOLDER/gemma3 and FOLDER/qwen3_5
"""

import os
import shutil
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
REFERENCE = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "reference"
sys.path.insert(0, str(REFERENCE))

from transformers import AutoConfig  # noqa: E402

from families import FAMILIES, random_weights  # noqa: E402

TOKENIZER = REFERENCE / "cases" / "llama-gqa-tied" / "model"
CHANGES = {"vocab_size": 384, "max_position_embeddings": 128, "bos_token_id": None}


def main(folder: Path) -> None:
    for seed, name in enumerate(("gemma3-vision", "qwen3.5-vision")):
        family = FAMILIES[name]
        directory = folder / family.model_type
        config = AutoConfig.for_model(family.model_type, text_config=family.config | CHANGES, **family.whole)
        random_weights(config, seed).save_pretrained(directory)
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(TOKENIZER / file, directory)
        (directory / "preprocessor_config.json").write_text('{"do_resize": true}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
