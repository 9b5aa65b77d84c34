"""
Loads the engine's files into PEFT and transformers, and compares their numbers with the engine's.

    python check.py request.json      prints one JSON object for each case

A case: {name, baseModelDir, baseModelName, findsBase, outputDir, delivered, sequences: ids[][], logitsFile, validationFile, validLoss}; logitsFile holds
f32 [tokens of all sequences, vocabulary]; if validationFile is null, no loss is compared; findsBase says that AutoPeftModel must find the base by what
adapter_config.json says of it.
"""

import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "warning"

import torch  # noqa: E402
from peft import AutoPeftModelForCausalLM, PeftConfig, PeftModel  # noqa: E402
from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import logging as transformers_logging  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "test" / "fixtures" / "reference"))
from cases import auto_class  # noqa: E402
from templates import conversation, prompt_completion  # noqa: E402


# PEFT writes such patterns itself for the experts of Mixtral and Qwen, and applies them. It looks for them among modules alone and does not find them there.
OF_EXPERTS = re.compile(r"The following (rank|alpha)_pattern keys did not match any targeted module and were ignored: \['\.\*\\\\\.gate_up_proj'\]\.?\s*")


class Complaints(logging.Handler):
    """Collects what the libraries log or warn about while they load files."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def warning(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        # Deprecation warnings are about the libraries' own code, not about our files.
        if not issubclass(category, (FutureWarning, DeprecationWarning)) and not OF_EXPERTS.fullmatch(str(message)):
            self.lines.append(str(message))


def base_model(directory: str) -> torch.nn.Module:
    model, info = auto_class(Path(directory)).from_pretrained(directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    problems = {kind: sorted(keys) for kind, keys in info.items() if keys}
    if problems:
        raise AssertionError(f"{directory} does not load cleanly: {problems}")
    return model.eval()


def tuned_model(case: dict, base: torch.nn.Module | None) -> tuple[torch.nn.Module, list[str]]:
    if base is None:
        return base_model(case["outputDir"]), []
    problems = []
    config = PeftConfig.from_pretrained(case["outputDir"])
    if config.base_model_name_or_path != case["baseModelName"]:
        problems.append(f"base_model_name_or_path is {config.base_model_name_or_path}")
    model = PeftModel.from_pretrained(base, case["outputDir"]).eval()
    zero = [name for name, value in model.named_parameters() if "lora_B" in name and not value.any()]
    if zero:
        problems.append(f"B is zero: {zero}")
    return model, problems


def found_base_problems(case: dict, expected: torch.Tensor) -> list[str]:
    """Loads the adapter by its directory alone."""
    model = AutoPeftModelForCausalLM.from_pretrained(case["outputDir"], dtype=torch.float32, attn_implementation="eager").eval()
    difference = (logits_of(model, case["sequences"]) - expected).abs().max().item()
    return [] if difference == 0 else [f"with the base that AutoPeftModel finds, the logits differ by {difference}"]


@torch.no_grad()
def logits_of(model: torch.nn.Module, sequences: list[list[int]]) -> torch.Tensor:
    # Without those at virtual tokens.
    return torch.cat([model(input_ids=torch.tensor([ids])).logits[0, -len(ids) :] for ids in sequences])


def sequences_of(tokenizer: PreTrainedTokenizerFast, example: dict) -> list[tuple[list[int], list[int]]]:
    """The ids of each text that an example trains, and a mask of those that are learned."""
    if "messages" not in example:
        expected = prompt_completion(tokenizer, example["prompt"], example["completion"])
        return [(expected["ids"], expected["lossMask"])]
    sequences = conversation(tokenizer, example["messages"])["sequences"]
    return [(each["ids"], [int(any(start <= at < end for start, end in each["learned"])) for at in range(len(each["ids"]))]) for each in sequences]


@torch.no_grad()
def validation_loss(model: torch.nn.Module, tokenizer_dir: str, file: str) -> float:
    """The mean loss, with tokens, mask and average computed without the engine."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    total, count = 0.0, 0
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        example = json.loads(line)
        for sequence, mask in sequences_of(tokenizer, example):
            ids = torch.tensor([sequence])
            wanted = torch.tensor(mask)[1:].bool()
            logits = model(input_ids=ids).logits[0, -len(sequence) : -1][wanted]
            total += torch.nn.functional.cross_entropy(logits, ids[0, 1:][wanted], reduction="sum").item()
            count += int(wanted.sum())
    return total / count


def check(case: dict) -> dict:
    # Loaded before collecting complaints: those about somebody else's base model are not about our files.
    base = None if case["delivered"] == "model" else base_model(case["baseModelDir"])
    complaints = Complaints()
    for name in ("peft", "transformers"):
        logging.getLogger(name).addHandler(complaints)
    warnings.showwarning = complaints.warning
    warnings.simplefilter("always")
    try:
        model, problems = tuned_model(case, base)
    finally:
        for name in ("peft", "transformers"):
            logging.getLogger(name).removeHandler(complaints)
    problems += complaints.lines
    theirs = logits_of(model, case["sequences"])
    if case["findsBase"]:
        problems += found_base_problems(case, theirs)
    untuned = logits_of(base_model(case["baseModelDir"]), case["sequences"])
    ours = torch.frombuffer(bytearray(Path(case["logitsFile"]).read_bytes()), dtype=torch.float32).view_as(theirs)
    loss = validation_loss(model, case["baseModelDir"], case["validationFile"]) if case["validationFile"] else None
    return {
        "name": case["name"],
        "problems": problems,
        "logitsDifference": (ours - theirs).abs().max().item(),
        "largestLogit": theirs.abs().max().item(),
        "movedBy": (theirs - untuned).abs().max().item(),
        "validLoss": loss,
        "lossDifference": abs(case["validLoss"] - loss) if loss is not None else None,
    }


def main(request: str) -> None:
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(2)
    for case in json.loads(Path(request).read_text(encoding="utf-8")):
        try:
            print(json.dumps(check(case)), flush=True)
        except Exception as error:  # noqa: BLE001  one case's failure must not hide the others
            print(json.dumps({"name": case["name"], "problems": [f"{type(error).__name__}: {error}"]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
