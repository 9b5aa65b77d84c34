"""What AutoTokenizer makes of directories: `python encode.py REQUEST`, a JSON file with `lines` and `directories` ({name, path, answer})."""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402


def main(request_file: str) -> None:
    logging.set_verbosity_error()
    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    for directory in request["directories"]:
        tokenizer = AutoTokenizer.from_pretrained(directory["path"])
        plain = [tokenizer(line, add_special_tokens=False)["input_ids"] for line in request["lines"]]
        whole = [tokenizer(line)["input_ids"] for line in request["lines"]]
        texts = [[tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=True)] for ids in plain]
        answer = {"class": type(tokenizer).__name__, "special": tokenizer.special_tokens_map, "plain": plain, "whole": whole, "texts": texts}
        with open(directory["answer"], "w", encoding="utf-8") as file:
            json.dump(answer, file)


if __name__ == "__main__":
    main(sys.argv[1])
