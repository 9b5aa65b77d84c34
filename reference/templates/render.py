"""
Renders conversations with chat templates as transformers does: `python render.py REQUEST ANSWER`, both JSON files. The request names a directory of
templates, that of a tokenizer, the file of conversations and the date; the answer has for every template and conversation the text, or why it is refused, and for
templates with {% generation %} the ids and which of them are the assistant's.
"""

import copy
import json
import re
import sys
from datetime import datetime
from pathlib import Path

import transformers.utils.chat_template_utils as rendering
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging


def main(request_file: str, answer_file: str) -> None:
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    logging.set_verbosity_error()
    _stop_the_clock(datetime.fromisoformat(request["today"]))
    tokenizer = _tokenizer(Path(request["tokenizer"]))
    conversations = [json.loads(line) for line in Path(request["conversations"]).read_text(encoding="utf-8").splitlines()]
    answer = {}
    for path in sorted(Path(request["templates"]).glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        answer[path.stem] = [
            [_rendered(tokenizer, template, variant, each.get("prompt", False)) for variant in _variants(each["example"])] for each in conversations
        ]
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")


def _stop_the_clock(today: datetime) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None) -> datetime:
            return today

    rendering.datetime = Stopped


def _tokenizer(directory: Path) -> PreTrainedTokenizerFast:
    names = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))
    special = {name: names[name] for name in ("bos_token", "eos_token") if isinstance(names.get(name), str)}
    return PreTrainedTokenizerFast(tokenizer_file=str(directory / "tokenizer.json"), **special)


def _variants(conversation: dict) -> list[dict]:
    """As it is, with arguments given as text read as values, and with content given in parts joined: whichever of them the template is written for."""
    variants = [conversation]
    for change in (_with_values, _with_text, lambda each: _with_text(_with_values(each))):
        changed = change(copy.deepcopy(conversation))
        if changed not in variants:
            variants.append(changed)
    return variants


def _with_values(conversation: dict) -> dict:
    for message in conversation["messages"]:
        for call in message.get("tool_calls") or []:
            if isinstance(call["function"]["arguments"], str):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return conversation


def _with_text(conversation: dict) -> dict:
    for message in conversation["messages"]:
        if isinstance(message.get("content"), list):
            message["content"] = "".join(part["text"] for part in message["content"])
    return conversation


def _rendered(tokenizer: PreTrainedTokenizerFast, template: str, conversation: dict, prompt: bool) -> dict:
    options = {"tools": conversation.get("tools"), "chat_template": template, "add_generation_prompt": prompt}
    options |= conversation.get("chat_template_kwargs", {})
    try:
        text = tokenizer.apply_chat_template(conversation["messages"], tokenize=False, **options)
        if re.search(r"\{%-?\s*generation\b", template) is None:
            return {"text": text}
        both = tokenizer.apply_chat_template(conversation["messages"], return_assistant_tokens_mask=True, **options)
        return {"text": text, "ids": both["input_ids"], "mask": both["assistant_masks"]}
    except Exception as error:  # whatever a template raises, TRL does not catch it
        return {"refused": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(*sys.argv[1:])
