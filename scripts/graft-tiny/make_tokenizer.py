"""Trains graft-tiny's tokenizer: a byte-level BPE. Usage: make_tokenizer.py TEXT_FILE OUT_DIR VOCABULARY_SIZE

Made with tokenizers 0.23.3. The same text and version give the same file.
"""

import sys

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def main(text_file: str, out_dir: str, vocabulary_size: int) -> None:
    tokenizer = Tokenizer(models.BPE())
    # GPT-2's split into words, but with every digit on its own, so that "12" is made of the tokens of "1" and "2".
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([text_file], trainer)
    tokenizer.save(f"{out_dir}/tokenizer.json")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
