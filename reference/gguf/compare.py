"""
Compares directories that Graft made of GGUF files with the directories that the files were made from, and with what transformers makes of the files itself:

    python compare.py PACKAGE CASES      PACKAGE holds the `gguf` package, CASES is JSON: [{"name", "file", "dir", "original", "texts", "prompt", "logits"}, …]

`logits` is a file with the engine's, of the prompt with the directory. Prints, for each: why transformers does not read the file; the largest difference of a weight and
of a logit between file and directory; of a logit between directory and original, and between directory and engine; and how many texts each splits into other tokens.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch


def ids(tokenizer, texts: list[str]) -> list[list[int]]:
    return [tokenizer(text)["input_ids"] for text in texts]


def differing(texts: list[str], ours: list[list[int]], theirs: list[list[int]]) -> dict:
    wrong = [i for i, _ in enumerate(texts) if ours[i] != theirs[i]]
    return {"texts": len(wrong), "example": None if not wrong else {"text": texts[wrong[0]], "ours": ours[wrong[0]], "theirs": theirs[wrong[0]]}}


def compare(case: dict) -> dict:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file, texts = Path(case["file"]), case["texts"]
    result = {"name": case["name"], "refused": None, "weights": None, "logits": None, "engine": None, "originalLogits": None, "tokens": None, "original": None}
    ours = AutoTokenizer.from_pretrained(case["dir"])
    found = ids(ours, texts)
    if case["original"] is not None:
        result["original"] = differing(texts, found, ids(AutoTokenizer.from_pretrained(case["original"]), texts))
    model = AutoModelForCausalLM.from_pretrained(case["dir"], dtype=torch.float32).eval()
    logits = logits_of(model, case)
    result["largest"] = float(logits.abs().max())
    engine = torch.from_numpy(np.fromfile(case["logits"], dtype=np.float32)).view(logits.shape)
    result["engine"] = float((engine - logits).abs().max())
    if case["original"] is not None:
        same = AutoModelForCausalLM.from_pretrained(case["original"], dtype=torch.float32).eval()
        result["originalLogits"] = float((logits - logits_of(same, case)).abs().max())
    try:
        theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except Exception as error:
        result["refused"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return result
    result["tokens"] = differing(texts, found, ids(tokenizer, texts))
    weights = theirs.state_dict()
    own = model.state_dict()
    if {name: value.shape for name, value in weights.items()} != {name: value.shape for name, value in own.items()}:
        return result | {"refused": "it makes a model of other sizes"}
    result["weights"] = max(float((weights[name] - value).abs().max()) for name, value in own.items())
    result["logits"] = float((logits - logits_of(theirs, case)).abs().max())
    return result


def logits_of(model, case: dict) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([case["prompt"]])).logits[0].float()


def main(package: str, cases: str) -> None:
    sys.path.insert(0, package)
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    print(json.dumps([compare(case) for case in json.loads(Path(cases).read_text(encoding="utf-8"))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
