"""A very small encoder of sentences in a folder, as Hugging Face lays it out, with weights at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def put_encoder(folder: Path, words: Sequence[str], *, width: int = 32, seed: int = 0) -> Path:
    """Write a BERT of two layers whose tokens are ``words`` into ``folder``."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words]
    tokens = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    torch.default_generator.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=160,
    )
    BertModel(config).save_pretrained(folder)
    tokens.save(str(folder / "tokenizer.json"))
    return folder
