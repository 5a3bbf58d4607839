"""Tiny models with random weights from the real classes of transformers, and tokenisers trained on a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from breadth.trie import END, Trie, build_trie

VOCAB = 96

_COMMON = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
_SLIDING = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
_LINEAR = ["linear_attention", "linear_attention", "linear_attention", "full_attention"]
_GATED_DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_conv_kernel_dim": 3,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
WINDOW = 5


def _configurations() -> dict[str, Callable[[], Any]]:
    import transformers as t

    def of(name: str, **own: Any) -> Callable[[], Any]:
        return lambda: getattr(t, name)(**{**_COMMON, "num_hidden_layers": 4, **own})

    return {
        "llama": of("LlamaConfig", num_hidden_layers=3),
        "qwen3": of("Qwen3Config", num_hidden_layers=3),
        "qwen3-sliding": of(
            "Qwen3Config", layer_types=_SLIDING, sliding_window=WINDOW, use_sliding_window=True
        ),
        "qwen3.5": of("Qwen3_5TextConfig", layer_types=_LINEAR, **_GATED_DELTA),
        "qwen3.5-moe": of(
            "Qwen3_5MoeTextConfig",
            layer_types=_LINEAR,
            shared_expert_intermediate_size=32,
            **_GATED_DELTA,
            **_EXPERTS,
        ),
        "olmo3": of("Olmo3Config", layer_types=_SLIDING, sliding_window=WINDOW),
        "gemma3": of(
            "Gemma3TextConfig", layer_types=_SLIDING, sliding_window=WINDOW, query_pre_attn_scalar=12
        ),
        # Beyond the families of the paper: softcapped logits, a window that no layer declares, learnt
        # positions, and no attention at all.
        "gemma2": of(
            "Gemma2Config", layer_types=_SLIDING, sliding_window=WINDOW, final_logit_softcapping=8.0
        ),
        "mistral": of("MistralConfig", sliding_window=WINDOW),
        "gpt2": of("GPT2Config", n_positions=512, n_embd=48, n_layer=3, n_head=4),
        "mamba": of("MambaConfig", state_size=8, num_hidden_layers=3),
    }


PACKED = ("llama", "qwen3", "qwen3-sliding", "olmo3", "gemma3", "gemma2", "gpt2")
"""Families whose layers are all attention."""

BY_DEPTH = ("qwen3.5", "qwen3.5-moe", "mamba")
"""Families with recurrent layers."""

FAMILIES = (*PACKED, *BY_DEPTH, "mistral")


def network(family: str, *, attention: str | None = None, vocab_size: int = VOCAB) -> Any:
    """A model of `family` with weights large enough that its logits differ visibly between prefixes."""
    import torch
    import transformers

    config = _configurations()[family]()
    config.vocab_size = vocab_size
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 and "A_log" not in name and "conv" not in name:
                # Larger weights inside would only amplify rounding, which differs between the paths.
                gain = 2.0 if "lm_head" in name else 0.7
                torch.nn.init.normal_(parameter, std=gain / parameter.shape[-1] ** 0.5)
    return module.eval()


def trie(seed: int = 0, *, branches: int = 3, depth: int = 4, tail: int = 12) -> Trie:
    """A trie with bushy and deep parts: sequences of unequal length, one of them far longer than a block."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice(np.arange(3, VOCAB), size=branches, replace=False).tolist()
    sequences: list[tuple[int, ...]] = [()]
    finished: set[tuple[int, ...]] = set()
    for _ in range(depth):
        sequences = [(*start, token) for start in sequences for token in tokens if rng.random() < 0.8]
        finished.update((*sequence, END) for sequence in sequences if rng.random() < 0.4)
    finished.add((*tokens, *rng.integers(3, VOCAB, size=tail).tolist(), END))
    finished.update((*sequence, END) for sequence in sequences)
    ordered = sorted(finished)
    return build_trie(ordered, range(len(ordered)), n_answers=len(ordered), end_tokens=[2])


PROMPT = (1, 17, 40, 5, 88, 23, 61, 9, 72, 31, 54)

_PAGE = """A model is asked for a random US state. It answers Texas, or California, or New York.
Ask it 100 times: New York, New Jersey, New Mexico, and never Wyoming. Numbers 1 2 3 10 12 100 42.
\tdef sample(n):\n\t    return [draw() for _ in range(n)]\n\nÉtats-Unis, Straße, 日本, 😀.
"""


def byte_level_tokenizer(*, chat: bool = True) -> Any:
    """A byte-level BPE tokeniser of 320 tokens, as GPT-2's and Llama 3's are made."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        [_PAGE],
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<s>", "</s>", "<|turn|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<|turn|>"],
    )
    if chat:
        tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no system turns\nhere') }}{% endif %}"
    "<s>{{ message['role'] }}\n{{ message['content'] }}<|turn|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    "{% endif %}"
)


def sentencepiece_tokenizer(*, prepend: bool = False) -> Any:
    """A BPE tokeniser that writes spaces as ▁ and falls back to bytes, as Gemma's and Llama 2's are made.

    With `prepend` it puts a space before every text and takes it away again when decoding.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    specials = ["<pad>", "<s>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trained.train_from_iterator(
        [_PAGE[: len(_PAGE) // 2]],
        trainers.BpeTrainer(vocab_size=380, special_tokens=specials, show_progress=False),
    )
    learnt = json.loads(trained.to_str())["model"]
    raw = Tokenizer(
        models.BPE(
            vocab=learnt["vocab"],
            merges=[tuple(pair) for pair in learnt["merges"]],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        )
    )
    spaces: list[Any] = [normalizers.Prepend("▁")] if prepend else []
    raw.normalizer = normalizers.Sequence([*spaces, normalizers.Replace(" ", "▁")])
    strip: list[Any] = [decoders.Strip(" ", 1, 0)] if prepend else []
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def write_gguf(path: Any, *, pre_tokenizer: str = "smollm") -> Any:
    """The tiny Llama and the tiny byte-level tokeniser as a GGUF file; gives the network it is made from."""
    import gguf

    tokenizer = byte_level_tokenizer()
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    tokens = sorted(backend["model"]["vocab"], key=backend["model"]["vocab"].__getitem__)
    module = network("llama", vocab_size=len(tokens))
    config = module.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(tokens)
    control = {"<s>", "</s>", "<|turn|>"}
    writer.add_token_types([3 if token in control else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in backend["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)
    for name, tensor in module.state_dict().items():
        weight = tensor.numpy()
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if part in name:  # GGUF pairs the rotated halves of a head otherwise
                rows, columns = weight.shape
                weight = weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2)
                weight = np.ascontiguousarray(weight.reshape(rows, columns))
        writer.add_tensor(_gguf_name(name), weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return module


def _gguf_name(name: str) -> str:
    for ours, theirs in (
        ("model.layers.", "blk."),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("mlp.", "ffn_"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("_proj", ""),
    ):
        name = name.replace(ours, theirs)
    return name
