"""The command line: parse, call, print, and nothing else.

Exit status: 0 done, 2 the user's mistake, 1 ours or the machine's, 130 interrupted.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from breadth.errors import BreadthError, InputError

# Everything heavy is imported inside the commands, so that `breadth --help` answers at once.

__all__ = ["app", "main"]

app = typer.Typer(
    name="breadth",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help reads better at 80 columns
    help=(
        "Why does a language model keep giving the same few answers? breadth takes a prompt whose valid "
        "answers are known, reads the model's exact probability of each, and says what blocks the rest. "
        "No sampling."
    ),
)

P = ParamSpec("P")
R = TypeVar("R")


def _one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """End a command with one clear line and the right exit status instead of a traceback."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BreadthError as error:
            _fail(str(error), error.exit_status)
        except KeyboardInterrupt:
            _fail("interrupted; nothing was left half-written", 130)
        except BrokenPipeError:
            # The reader of our output has gone (`breadth ls tasks | head`): no error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", 1)
        except MemoryError:
            _fail("out of memory; try a smaller task or model", 1)
        except Exception as error:
            if os.environ.get("BREADTH_DEBUG"):
                raise
            _fail(
                f"unexpected {type(error).__name__}: {' '.join(str(error).split()) or 'no message'} "
                "(this is a bug in breadth; BREADTH_DEBUG=1 shows where)",
                1,
            )
        raise AssertionError  # _fail does not return

    return guarded


def _fail(message: str, status: int) -> None:
    with suppress(OSError):
        sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(status)


class Listable(StrEnum):
    """What `breadth ls` can list."""

    TASKS = "tasks"
    MODELS = "models"
    RULES = "rules"


RESERVED = frozenset({"conversation", "tokenize", "add_generation_prompt", "chat_template", "return_tensors"})
"""Arguments of the function that fills a chat template, not of the template."""


def _chat_arguments(pairs: list[str]) -> dict[str, Any]:
    import yaml

    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name in RESERVED:
            raise InputError(
                f"--chat-arg {pair!r}: {name} is set by breadth; give what the template itself takes"
            )
        if not equals or not name:
            raise InputError(f"--chat-arg {pair!r}: expected NAME=VALUE, for example enable_thinking=false")
        try:
            arguments[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            arguments[name] = value
    return arguments


@app.command()
@_one_line_errors
def run(
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="A bundled name, hf:ORG/NAME, a folder, or a .gguf file. Repeat for several.",
        ),
    ],
    task: Annotated[
        list[str],
        typer.Option("--task", "-t", help="A built-in task or a task file (.yaml). Repeat for several."),
    ],
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            "-r",
            help="A decoding rule such as temperature=1.5,min_p=0.1, steps left to right, or an engine's "
            "name for its defaults. Repeat for several. Without it: the model's default, the whole grid and "
            "the oracles.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Apply the steps in this engine's order: transformers, vllm or llama.cpp."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", help="Folder for probes, tables and figures. Without it nothing is kept."
        ),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else there.")
    ] = False,
    figures: Annotated[bool, typer.Option(help="Draw figures into --out.")] = True,
    page: Annotated[bool, typer.Option(help="Write the explorer, report.html, into --out.")] = True,
    max_sequences: Annotated[
        int, typer.Option(min=1, help="Refuse tasks with more token sequences than this.")
    ] = 200_000,
    device: Annotated[
        str | None, typer.Option(help="cuda, mps or cpu; the best there is if not given.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; float32 on cpu if not given.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")] = None,
    attention: Annotated[
        str | None, typer.Option(help="Attention implementation, as transformers names them.")
    ] = None,
    chat_arg: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE for the chat template. Thinking is off where the template knows it."),
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Allow the model's repository to run its own code.")
    ] = False,
) -> None:
    """Diagnose models on tasks.

    Validity, diversity, and what blocks them.
    """
    from breadth.catalog import load_task
    from breadth.models.load import load_model
    from breadth.report.terminal import Terminal
    from breadth.rules import parse_rules
    from breadth.study import check_folders, run_unit

    rules = parse_rules(rule, engine) if rule else None
    if engine:
        parse_rules(["temperature=1"], engine)  # refuse an unknown engine before any work
    tasks = [load_task(name) for name in task]
    arguments = _chat_arguments(chat_arg or [])
    if out == "":
        raise InputError("--out is empty; name a folder")
    folder = Path(out) if out is not None else None
    if folder:
        check_folders(folder, model, tasks)
    terminal = Terminal()
    units = []
    for name in model:
        loaded = load_model(
            name,
            revision=revision,
            dtype=dtype,
            device=device,
            attention=attention,
            template_arguments=arguments,
            trust_remote_code=trust_remote_code,
        )
        for each in tasks:
            with terminal.progress(f"{loaded.name} on {each.name}") as progress:
                unit = run_unit(
                    loaded,
                    each,
                    rules,
                    out=folder,
                    engine=engine,
                    template_arguments=arguments,
                    max_sequences=max_sequences,
                    progress=progress,
                )
            terminal.warnings(unit)
            units.append(unit)
    if folder and figures:
        from breadth.report.draw import draw_study, draw_unit

        with terminal.status("drawing figures"):
            for unit in units:
                if unit.folder:
                    draw_unit(unit, unit.folder / "figures")
            draw_study(units, folder / "figures")
    if folder and page:
        from breadth.report.page.page import write_page

        with terminal.status("writing the page"):
            write_page(units, folder / REPORT)
    if json_output:
        terminal.json(units)
    else:
        terminal.tables(units, rules_given=rules is not None)
        if folder:
            terminal.say(
                f"Written to {folder}: a folder per model and task with its probe, tables and figures"
                + (f", and {REPORT} for a browser." if page else ".")
            )


REPORT = "report.html"
"""The explorer's name in a run's folder."""

PREFIXES_SHOWN = 30
"""Prefixes of a table that a person reads."""

RunFolder = Annotated[
    str, typer.Argument(metavar="RUN", help="What `breadth run --out` was given, or one folder in it.")
]

Samples = Annotated[
    int | None,
    typer.Option(
        "--samples",
        "-n",
        min=1,
        max=2**53,
        help="Number of samples that coverage is counted in; as many as there are answers if not given.",
    ),
]

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else there.")
]


@app.command()
@_one_line_errors
def explain(
    run: RunFolder,
    rule: Annotated[
        str | None,
        typer.Option("--rule", "-r", help="The rule to explain; the model's default if not given."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Apply the rule's steps in this engine's order.")] = None,
    samples: Samples = None,
    json_output: Json = False,
    tables: Annotated[
        bool, typer.Option(help="Write answers, prefixes and run.parquet and explanation.json into RUN.")
    ] = True,
    figures: Annotated[bool, typer.Option(help="Draw figures into RUN.")] = True,
) -> None:
    """Say why the diversity is missing.

    Where it goes, whether order or shape is to blame, and what could be won back.
    """
    from breadth.explanation import explain as explain_unit
    from breadth.report.terminal import Terminal
    from breadth.rules import parse_rule
    from breadth.study import open_units

    if engine and not rule:
        raise InputError(f"--engine {engine} needs --rule: the order of which steps?")
    wanted = parse_rule(rule, engine) if rule else None
    terminal = Terminal()
    explained = []
    for unit in open_units(Path(run)):
        with terminal.status(f"explaining {unit.model} on {unit.task}"):
            explanation = explain_unit(unit, wanted, samples=samples)
        explained.append(explanation)
        if not json_output:
            terminal.account(unit.probe, explanation, first=len(explained) == 1)
        if tables and unit.folder:
            from breadth.tables import write_tables

            with terminal.progress(f"tables of {unit.model} on {unit.task}") as progress:
                write_tables(unit, explanation, progress)
        if figures and unit.folder:
            from breadth.report.explained import draw_explanation

            with terminal.status("drawing figures"):
                draw_explanation(unit, explanation, unit.folder / "figures")
    if tables or figures:
        terminal.say(f"Written into {run}. `breadth report {run}` puts it into the page.")
    if json_output:
        terminal.document(explanations=[explanation.as_dict() for explanation in explained])


@app.command()
@_one_line_errors
def cutoffs(
    run: RunFolder,
    precision: Annotated[
        float | None,
        typer.Option("--precision", "-p", help="The most recall at this precision or more.  [default: 0.8]"),
    ] = None,
    recall: Annotated[
        float | None, typer.Option("--recall", "-r", help="The most precision at this recall or more.")
    ] = None,
    uniform: Annotated[
        bool,
        typer.Option(
            help="How precision is counted: uniformly over what is kept, or as the model would: validity."
        ),
    ] = True,
    temperature: Annotated[float, typer.Option(help="Of the model's probabilities.")] = 1.0,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every prefix, not only those with most answers below.")
    ] = False,
) -> None:
    """Show the best cutoffs of all.

    One at every prefix, at a precision or a recall.
    """
    from breadth.adaptive import best_cutoffs
    from breadth.ranking import event_ranking
    from breadth.report.terminal import Terminal
    from breadth.study import open_units

    if precision is not None and recall is not None:
        raise InputError("--precision and --recall are two ways to choose one point; give one of them")
    for name, value in (("--precision", precision), ("--recall", recall)):
        if value is not None and not 0 < value <= 1:
            raise InputError(f"{name} {value:g} is no share; give a number above 0, at most 1")
    if not 1e-3 <= temperature <= 1e3:
        raise InputError(f"--temperature {temperature:g}: give a number from 0.001 to 1000")
    terminal = Terminal()
    measure = "precision" if uniform else "validity"
    floor = 0.8 if precision is None else precision
    asked = (
        f"the most recall at {measure} ≥ {floor:g}"
        if recall is None
        else f"the best {measure} at recall ≥ {recall:g}"
    )
    found = False
    problem = ""
    for unit in open_units(Path(run)):
        trie, blocks = unit.probe.trie, unit.probe.blocks
        best = best_cutoffs(trie, blocks, event_ranking(trie, blocks, temperature), uniform=uniform)
        wanted = best.recall_at(floor)[0] if recall is None else recall
        try:
            if wanted == 0:
                most = f"the most is {best.lower.max():.3g}"
                raise InputError(f"no cutoffs reach {measure} {floor:g}: {most}")
            count = best.strategy(wanted)
        except InputError as error:
            problem = f"{unit.model} on {unit.task}: {error}"
            terminal.say(problem)
            continue
        at_most = len(unit.probe.trie) if everything else PREFIXES_SHOWN
        terminal.cutoffs(unit, best, count, asked, at_most)
        found = True
    if not found:
        raise InputError(problem)


@app.command()
@_one_line_errors
def theory(
    run: RunFolder,
    json_output: Json = False,
    figures: Annotated[bool, typer.Option(help="Draw the bounds over the temperatures into RUN.")] = True,
) -> None:
    """Check the paper's theorems on a run.

    What holds, by what margin, and which assumptions are not met.

    Exit status 1 if a theorem is violated although its assumptions hold.
    """
    from dataclasses import asdict

    from breadth.report.terminal import Terminal
    from breadth.scores import plain
    from breadth.study import open_units
    from breadth.theory import check_theory

    terminal = Terminal()
    rows = []
    for unit in open_units(Path(run)):
        with terminal.status(f"checking {unit.model} on {unit.task}"):
            found = check_theory(unit.probe)
        rows += [{"model": unit.model, "task": unit.task, **plain(asdict(check))} for check in found]
        if not json_output:
            terminal.checks(unit, found)
        if figures and unit.folder:
            from breadth.report.bounds import draw_theory

            draw_theory(unit, unit.folder / "figures")
    if json_output:
        terminal.document(checks=rows)
    if any(row["verdict"] == "violated" for row in rows):
        raise typer.Exit(1)


@app.command()
@_one_line_errors
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="Folders that `breadth run --out` wrote.")
    ],
    samples: Samples = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Folder for the table and the figures.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Compare models on shared tasks."""
    from breadth.comparison import compare as compare_units
    from breadth.report.terminal import Terminal
    from breadth.study import open_units

    if out == "":
        raise InputError("--out is empty; name a folder")
    terminal = Terminal()
    units = [unit for run in dict.fromkeys(runs) for unit in open_units(Path(run))]
    with terminal.status("comparing"):
        compared = compare_units(units, samples=samples)
    alone = {unit.task for unit in units} - {each.unit.task for each in compared}
    if alone:
        terminal.say(f"not compared, since only one run has it: {', '.join(sorted(alone))}")
    if out is not None:
        from breadth.report.explained import draw_comparison
        from breadth.tables import write_rows

        write_rows([each.row() for each in compared], Path(out), "comparison")
        with terminal.status("drawing figures"):
            draw_comparison(compared, Path(out) / "figures")
        terminal.say(f"Written to {out}: comparison.csv, comparison.parquet and figures.")
    if json_output:
        terminal.document(rows=[each.row() for each in compared])
    else:
        terminal.comparison(compared)


@app.command()
@_one_line_errors
def report(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="Folders that `breadth run --out` wrote.")
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The file; report.html in the first RUN if not given.")
    ] = None,
) -> None:
    """Write the explorer again.

    One page for some runs, with what `explain` has added to them.
    """
    from breadth.report.terminal import Terminal

    if out == "":
        raise InputError("--out is empty; name a file")
    path = Path(out) if out is not None else Path(runs[0]) / REPORT
    terminal = Terminal()
    with terminal.status("writing the page"):
        _write_report(runs, path)
    terminal.say(f"Written to {path}.")


def _write_report(runs: list[str], path: Path) -> None:
    from breadth.report.page.page import write_page
    from breadth.study import open_units

    if path.is_dir():
        raise InputError(f"--out {path} is a folder; name a file in it")
    write_page([unit for run in dict.fromkeys(runs) for unit in open_units(Path(run))], path)


@app.command()
@_one_line_errors
def view(run: RunFolder) -> None:
    """Open the explorer of a run.

    It is written first where there is none, or where `explain` has added to the run since.
    """
    import webbrowser

    from breadth.report.terminal import Terminal

    path = Path(run) / REPORT
    added = [each.stat().st_mtime for each in Path(run).glob("**/explanation.json")]
    if not path.exists() or path.stat().st_mtime < max(added, default=0.0):
        _write_report([run], path)
    if not webbrowser.open(path.resolve().as_uri()):
        Terminal().say(f"No browser was found; open {path.resolve()} in one.")


@app.command()
@_one_line_errors
def ls(what: Annotated[Listable, typer.Argument(help="tasks, models or rules.")]) -> None:
    """List tasks, models or rules."""
    from breadth.report.terminal import Terminal

    terminal = Terminal()
    match what:
        case Listable.TASKS:
            terminal.list_tasks()
        case Listable.MODELS:
            terminal.list_models()
        case Listable.RULES:
            terminal.list_rules()


@app.command()
@_one_line_errors
def show(task: Annotated[str, typer.Argument(help="A built-in task or a task file.")]) -> None:
    """Show a task.

    Its prompt, its answers, where they come from, and how an answer ends.
    """
    from breadth.catalog import load_task
    from breadth.report.terminal import Terminal

    Terminal().show_task(load_task(task))


@app.command()
@_one_line_errors
def check(
    task: Annotated[str, typer.Argument(help="A task file or a built-in task.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Also tokenise it for this model.")
    ] = None,
    max_sequences: Annotated[
        int, typer.Option(min=1, help="Refuse tasks with more token sequences than this.")
    ] = 200_000,
    chat_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the chat template.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Allow the model's repository to run its own code.")
    ] = False,
) -> None:
    """Check a task file.

    With --model also how that model's tokeniser reads it; the model is not run.
    """
    from breadth.catalog import load_task
    from breadth.report.terminal import Terminal

    loaded = load_task(task)
    terminal = Terminal()
    terminal.checked_task(loaded)
    if model is not None:
        from breadth.encoding import encode
        from breadth.models.load import load_model

        arguments = _chat_arguments(chat_arg or [])
        loaded_model = load_model(
            model,
            revision=revision,
            template_arguments=arguments,
            trust_remote_code=trust_remote_code,
        )
        encoding = encode(loaded, loaded_model, template_arguments=arguments, max_sequences=max_sequences)
        terminal.checked_encoding(loaded, loaded_model, encoding)


def _version(wanted: bool) -> None:
    if wanted:
        from breadth import __version__

        print(f"breadth {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """Entry point of the `breadth` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or pipe that cannot show ≥ or Côte d'Ivoire gets an escape, not an error.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:
        _fail("interrupted", 130)
