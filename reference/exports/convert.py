"""
Runs llama.cpp's own converters on many directories at once, without their tokenizers: the converters refuse a vocabulary that they do not know by its
hash, and what is compared is the weights.

    python convert.py CONVERTERS REQUESTS      REQUESTS is a JSON file: [{"model": dir, "adapter": dir or null, "type": "f16", "file": path}, …]

Prints a JSON list: null for each that was converted, otherwise why it was not.
"""

import contextlib
import json
import logging
import os
import runpy
import sys
from pathlib import Path


def with_old_fields(load):
    """The converters read fields that transformers 5 does not have."""

    def loaded(directory, is_mistral_format):
        fields = load(directory, is_mistral_format)
        if fields["model_type"] == "gpt2":
            fields["n_ctx"] = fields["n_positions"]
        if fields["model_type"] == "gpt_neox":
            fields["rotary_pct"] = fields["rope_parameters"]["partial_rotary_factor"]
        return fields

    return staticmethod(loaded)


def convert(one: dict, converters: str) -> str | None:
    import conversion
    from conversion.base import TextModel

    def forget_tokenizer(kind: type) -> None:
        kind.set_vocab = TextModel._set_vocab_none
        for each in kind.__subclasses__():
            forget_tokenizer(each)

    program = "convert_hf_to_gguf.py" if one["adapter"] is None else "convert_lora_to_gguf.py"
    source = [one["model"]] if one["adapter"] is None else [one["adapter"], "--base", one["model"]]
    config = json.loads((Path(one["model"]) / "config.json").read_text(encoding="utf-8"))
    conversion.get_model_class(config["architectures"][0])  # imports it
    forget_tokenizer(TextModel)
    sys.argv = [program, *source, "--outtype", one["type"], "--outfile", one["file"]]
    try:
        runpy.run_path(str(Path(converters) / program), run_name="__main__")
    except (Exception, SystemExit) as error:  # noqa: BLE001
        Path(one["file"]).unlink(missing_ok=True)
        return f"{type(error).__name__}: {error}"
    return None


def main(converters: str, requests: str) -> None:
    sys.path[:0] = [converters, str(Path(converters) / "gguf-py")]
    logging.disable(logging.WARNING)
    from conversion.base import ModelBase

    ModelBase.load_hparams = with_old_fields(ModelBase.load_hparams)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        problems = [convert(one, converters) for one in json.loads(Path(requests).read_text(encoding="utf-8"))]
    print(json.dumps(problems))


if __name__ == "__main__":
    main(*sys.argv[1:])
