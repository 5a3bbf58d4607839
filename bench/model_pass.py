"""The model's pass over a trie, against scoring every answer as a string with lm-eval-harness."""

from __future__ import annotations

from typing import Any

from bench.timing import Row, best_of
from breadth.catalog import load_task
from breadth.encoding import Encoding, encode
from breadth.models.base import Model
from breadth.models.load import load_model
from breadth.ranked import rank_logits
from breadth.task import End, Task

TARGETS = {"us-states": "≥ 12", "digits:length=3": "≥ 20"}
BATCH_SIZES = (16, 32, 64)


def walk(model: Model, encoding: Encoding) -> None:
    """All that a probe asks of the model, and the sketching of its answers."""
    for nodes, logits in model.walk(encoding.prompt, encoding.trie):
        rank_logits(nodes, logits, encoding.trie)


def harness_time(model: Any, task: Task, encoding: Encoding) -> tuple[float, int]:
    """Fastest time in which lm-eval scores the same strings with the same weights, and its batch size."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    context = encoding.prompt_text
    requests = [
        Instance("loglikelihood", {}, (context, encoding.delimiter + answer), index)
        for index, answer in enumerate(task.answers)
    ]
    times = {}
    for size in BATCH_SIZES:
        scorer = HFLM(
            pretrained=model.module, tokenizer=model.tokenizer.tokenizer, batch_size=size, device="cpu"
        )
        times[size] = best_of(lambda scorer=scorer: scorer.loglikelihood(requests, disable_tqdm=True), 1)
    size = min(times, key=times.__getitem__)
    return times[size], size


def matmul_rate() -> float:
    """The machine's own float32 matrix-product rate, in GFLOP/s."""
    import torch

    n = 2048
    a = torch.randn(n, n)
    return 2 * n**3 / best_of(lambda: a @ a, 5) / 1e9


def run() -> list[Row]:
    model: Any = load_model("smollm2-135m")
    rows = []
    rate = matmul_rate()
    rows.append(Row("this machine's float32 matrix product", rate, "GFLOP/s"))
    for name, target in TARGETS.items():
        # The harness scores no end token; neither do we here.
        task = load_task(name).model_copy(update={"end": End(eos=False)})
        encoding = encode(task, model)
        walk(model, encoding)  # warm up
        computed = model.tokens_computed
        walk(model, encoding)
        computed = model.tokens_computed - computed
        seconds = best_of(lambda encoding=encoding: walk(model, encoding))
        unique = len(encoding.prompt) + int((encoding.trie.token >= 0).sum())
        # Two operations per weight and token; the head's weights work only where a distribution is read.
        head = model.module.get_output_embeddings().weight.numel()
        body = sum(weight.numel() for weight in model.module.parameters()) - head
        operations = 2 * (body * computed + head * len(encoding.trie.prefixes))
        peer, size = harness_time(model, task, encoding)
        rows += [
            Row(f"{name}: answers", len(task.answers)),
            Row(f"{name}: tokens of the prompt, which the peer runs for every request", len(encoding.prompt)),
            Row(f"{name}: prefixes", len(encoding.trie.prefixes)),
            # Below 1 because an answer's last token is read off its parent's distribution and never run.
            Row(f"{name}: tokens computed / (prompt + unique trie tokens)", computed / unique, "", "≤ 1.05"),
            Row(f"{name}: pass and sketch", seconds, "s"),
            Row(f"{name}: share of the matrix-product rate", operations / seconds / 1e9 / rate),
            Row(f"{name}: lm-eval, fastest batch size ({size})", peer, "s"),
            Row(f"{name}: lm-eval / breadth", peer / seconds, "×", target),
        ]
    return rows
