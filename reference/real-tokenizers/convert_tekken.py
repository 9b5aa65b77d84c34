"""Writes Mistral's tekken.json as a tokenizer.json, as transformers converts it: `python convert_tekken.py TEKKEN_JSON DIRECTORY`."""

import json
import sys
from pathlib import Path

from transformers import PreTrainedTokenizerFast
from transformers.integrations.mistral.tokenizer import MistralConverter

# The file is older than its list of special tokens. For such files mistral-common knows the first of them, by rank.
SPECIAL = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>"]


def main(tekken: str, directory: str) -> None:
    path = Path(tekken)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["special_tokens"] = [{"rank": rank, "token_str": token, "is_control": True} for rank, token in enumerate(SPECIAL)]
    path.write_text(json.dumps(content), encoding="utf-8")
    tokenizer = MistralConverter(tekken).converted()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>").save_pretrained(directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
