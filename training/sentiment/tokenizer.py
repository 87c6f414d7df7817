"""The sentiment tokenizer: lower-case WordPiece with word-like entries, in plain `tokenizer.json`.

All normalisation lives in the tokenizer file, because no code of this project runs between a text
and `AutoTokenizer`: names (@someone) and links become one entry each, CamelCase hashtags are taken
apart, letters and marks that repeat are shortened, and emoticons become one of two emoji.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = (PAD, UNK, CLS, SEP, MASK)  # their ids are 0 to 4
MAX_TOKENS = 256
_WORD = r"\p{L}+(?:'(?:t|re|ve|m|ll|d)(?!\p{L}))?|[0-9]+|[!?.]+|[^\s]"


def _replace(pattern: str, content: str) -> normalizers.Normalizer:
    return normalizers.Replace(Regex(pattern), content)


def build(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer on `texts`; the same texts in the same order give the same tokenizer."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNK, max_input_chars_per_word=64))
    tokenizer.normalizer = normalizers.Sequence(
        [
            _replace(r"(?:https?://|www\.)\S+|\bhttps?\b", " http "),
            _replace(r"(?<![\w.])@\w+", " @user "),
            _replace(r"&amp;", "&"),
            _replace(r"&[lg]t;", " "),
            _replace(r"[\u2018\u2019\u0060\u00b4]", "'"),
            _replace(r"(?<!\S)(?:[:;=8]['-]?[)\]Dp]+|\(:|<3|xD|\^_?\^)(?!\w)", " 🙂 "),
            _replace(r"(?<!\S)(?:[:=]['-]?[(\[/|]+|\):|D:|</3)(?!\w)", " 🙁 "),
            _replace(r"(?<=[a-z])(?=[A-Z])", " "),
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.NFD(),
            normalizers.StripAccents(),
            _replace(r"\ufe0f", ""),
            _replace(r"([a-z!?.])(?=\1\1)", ""),
            _replace(r"[0-9]{3,}", "000"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"@user|" + _WORD), "removed", invert=True)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        min_frequency=3,
        special_tokens=list(SPECIAL),
        limit_alphabet=400,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(name, SPECIAL.index(name)) for name in (SEP, CLS)]
    tokenizer.post_processor = processors.BertProcessing(*ends)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        model_max_length=MAX_TOKENS,
    )


def load(folder: Path) -> PreTrainedTokenizerFast:
    """Load a tokenizer that `build` made and `save_pretrained` wrote."""
    found = PreTrainedTokenizerFast.from_pretrained(folder)
    assert isinstance(found, PreTrainedTokenizerFast)
    return found


def words(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> list[list[str]]:
    """Return each text's words, normalised and split as the tokenizer does it."""
    backend = tokenizer.backend_tokenizer
    normalise, split = backend.normalizer, backend.pre_tokenizer
    assert normalise is not None
    assert split is not None
    return [
        [word for word, _ in split.pre_tokenize_str(normalise.normalize_str(text))]
        for text in texts
    ]
