"""The command line, run as a user runs it: what is printed where, and with which exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import toys
from breadth import study, theory
from breadth.cli import main
from breadth.errors import StorageError

TASK = """\
name: colours
prompt: "Random fruit: mango\\nRandom animal: otter\\nRandom primary colour:"
answers: [red, yellow, blue]
delimiter: " "
end: "\\n"
chat: false
"""


class Shown(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def breadth(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str) -> Shown:
        monkeypatch.setattr(sys, "argv", ["breadth", *arguments])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return Shown(status, captured.out, captured.err)

    return call


@pytest.fixture
def task_file(tmp_path: Path) -> str:
    path = tmp_path / "colours.yaml"
    path.write_text(TASK)
    return str(path)


def assert_one_line(shown: Shown, status: int, *parts: str) -> None:
    assert shown.status == status
    assert shown.out == ""
    last = shown.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    for part in parts:
        assert part in last
    assert "Traceback" not in shown.err


def test_help_names_every_command(breadth) -> None:
    shown = breadth("--help")
    assert shown.status == 0
    for command in (
        "run",
        "explain",
        "cutoffs",
        "theory",
        "compare",
        "report",
        "view",
        "ls",
        "show",
        "check",
    ):
        assert command in shown.out
    assert breadth("--version").out.startswith("breadth ")


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("tasks", ["us-states", "countries-africa", "54"]),
        ("models", ["smollm2-135m", "Apache-2.0", "gemma3-270m"]),
        ("rules", ["temperature", "typical_p", "oracle_size", "llama.cpp", "top_k=40"]),
    ],
)
def test_listings(breadth, what: str, parts: list[str]) -> None:
    shown = breadth("ls", what)
    assert shown.status == 0
    assert shown.err == ""
    assert all(part in shown.out for part in parts)


def test_show_prints_a_task_file(breadth, tmp_path: Path) -> None:
    shown = breadth("show", "us-states")
    path = tmp_path / "copy.yaml"
    path.write_text(shown.out)
    assert breadth("check", str(path)).out == "us-states: 50 answers, no error found\n"


def test_check_warns_and_refuses(breadth, tmp_path: Path) -> None:
    spaced = tmp_path / "spaced.yaml"
    spaced.write_text(TASK.replace("colour:", "colour: "))
    shown = breadth("check", str(spaced))
    assert shown.status == 0
    assert "warning: the prompt ends in a space" in shown.err
    spaced.write_text(TASK.replace("blue", "red"))
    assert_one_line(breadth("check", str(spaced)), 2, "spaced.yaml:3", "'red' is given twice")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--model", "smollm2-135", "--task", "us-states"], ["smollm2-135m"]),
        (["--model", "gone.gguf", "--task", "us-states"], ["gone.gguf"]),
        (["--model", "smollm2-135m", "--task", "us-sates"], ["did you mean us-states?"]),
        (["--model", "smollm2-135m", "--task", "gone.yaml"], ["gone.yaml does not exist"]),
        (["--model", "smollm2-135m", "--task", "us-states", "--rule", "top_q=1"], ["top_q", "top_"]),
        (["--model", "smollm2-135m", "--task", "us-states", "--rule", "top_p=2"], ["top_p=2", "from 0 to 1"]),
        (
            ["--model", "smollm2-135m", "--task", "us-states", "--rule", "typical_p=0.9", "--engine", "vllm"],
            ["vllm has no typical_p"],
        ),
        (["--model", "smollm2-135m", "--task", "us-states", "--engine", "tgi"], ["'tgi'", "llama.cpp"]),
        (["--model", "smollm2-135m", "--task", "us-states", "--chat-arg", "x"], ["NAME=VALUE"]),
        (
            ["--model", "smollm2-135m", "--task", "us-states", "--chat-arg", "tokenize=true"],
            ["tokenize is set by breadth"],
        ),
        (
            ["--model", "smollm2-135m", "--task", "us-states", "--rule", "vllm", "--engine", "transformers"],
            ["'vllm' is that engine's default"],
        ),
        (["--model", "smollm2-135m", "--task", "us-states", "--out", ""], ["--out is empty"]),
        (["--model", "smollm2-135m", "--task", "{space}"], ["ends in a space", "into the delimiter"]),
        (["--model", "smollm2-135m", "--task", "us-states", "--dtype", "float8"], ["float8", "float32"]),
        (["--model", "smollm2-135m", "--task", "us-states", "--device", "abacus"], ["abacus", "cpu"]),
        (["--model", "gemma3-270m", "--task", "{chat}"], ["gemma3-270m has no chat template"]),
        (
            ["--model", "smollm2-135m", "--task", "digits:length=3", "--max-sequences", "10"],
            ["1,000 sequences", "--max-sequences"],
        ),
    ],
)
@pytest.mark.model
def test_the_users_mistakes_are_one_line(
    breadth, tmp_path: Path, arguments: list[str], parts: list[str]
) -> None:
    chat = tmp_path / "chat.yaml"
    chat.write_text(TASK.replace("chat: false", "chat: true"))
    space = tmp_path / "space.yaml"
    space.write_text(TASK.replace("colour:", "colour: ").replace('delimiter: " "', 'delimiter: ""'))
    shown = breadth("run", *(argument.format(chat=chat, space=space) for argument in arguments))
    assert_one_line(shown, 2, *parts)


def test_a_missing_option_is_the_users_mistake(breadth) -> None:
    shown = breadth("run", "--task", "us-states")
    assert shown.status == 2
    assert "--model" in shown.err


@pytest.mark.model
def test_json_has_exactly_the_rules_in_order(breadth, task_file: str) -> None:
    rules = ["temperature=1", "temperature=3,min_p=0.5", "oracle_size", "temperature=0", "llama.cpp"]
    options = [option for rule in rules for option in ("--rule", rule)]
    shown = breadth("run", "-m", "smollm2-135m", "-t", task_file, "--json", *options)
    assert shown.status == 0
    rows = json.loads(shown.out)["rows"]
    assert [row["rule"] for row in rows] == [
        "temperature=1",
        "temperature=3,min_p=0.5",
        "oracle_size",
        "temperature=0",
        "top_k=40,top_p=0.95,min_p=0.05,temperature=0.8",
    ]
    for row in rows:
        assert (row["model"], row["task"], row["answers"]) == ("smollm2-135m", "colours", 3)
        assert 0 <= row["validity"] <= 1
        assert set(row["distinct"]) >= {"1", "10", "100"}
        assert {"recall", "precision", "prefixes", "diversity"} <= set(row)
        assert row["provenance"]["model_identity"]
        assert row["provenance"]["task_hash"]


@pytest.mark.model
def test_undefined_numbers_are_null(breadth, tmp_path: Path) -> None:
    path = tmp_path / "never.yaml"
    path.write_text(TASK.replace("[red, yellow, blue]", "[zzyzx qqq]"))
    shown = breadth("run", "-m", "smollm2-135m", "-t", str(path), "--json", "-r", "top_k=1")
    (row,) = json.loads(shown.out)["rows"]
    assert row["validity"] == 0
    assert row["diversity"] is None


@pytest.mark.model
def test_a_study_folder_holds_everything_and_is_reused(
    breadth, task_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    arguments = ["run", "-m", "smollm2-135m", "-t", task_file, "-t", "weekdays", "-o", str(out)]
    first = breadth(*arguments)
    assert first.status == 0
    assert "validity" in first.out
    assert "smollm2-135m on colours: " in first.out
    unit = out / "smollm2-135m--colours"
    assert {path.name for path in unit.iterdir()} == {
        "probe",
        "rules.parquet",
        "rules.csv",
        "families.csv",
        "diagnosis.json",
        "figures",
    }
    assert json.loads((unit / "diagnosis.json").read_text())["sentence"] in " ".join(first.out.split())
    assert len(list((unit / "figures").glob("*.png"))) >= 5
    assert not list(out.rglob(".*"))

    def not_again(*_: object) -> None:
        raise AssertionError("the model ran again")

    monkeypatch.setattr("breadth.models.transformers.TransformersModel.walk", not_again)
    assert breadth(*arguments, "--no-figures").out == first.out


def test_interruption_and_our_own_faults_have_their_status(
    breadth, monkeypatch: pytest.MonkeyPatch, task_file: str
) -> None:
    def failing(error: BaseException):
        def run_unit(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("breadth.models.load.load_model", lambda *_, **__: type("M", (), {"name": "m"})())
        monkeypatch.setattr(study, "run_unit", run_unit)
        return breadth("run", "-m", "smollm2-135m", "-t", task_file)

    assert_one_line(failing(KeyboardInterrupt()), 130, "interrupted")
    assert_one_line(failing(StorageError("cannot write x: No space left on device")), 1, "No space left")
    assert_one_line(failing(ZeroDivisionError("by zero")), 1, "ZeroDivisionError: by zero", "BREADTH_DEBUG")
    assert_one_line(failing(MemoryError()), 1, "out of memory")


def test_two_tasks_that_would_share_a_folder_are_refused(breadth, tmp_path: Path) -> None:
    for name in ("a:b", "a=b"):
        (tmp_path / f"{name[1]}.yaml").write_text(TASK.replace("colours", name))
    files = [option for path in sorted(tmp_path.glob("*.yaml")) for option in ("-t", str(path))]
    shown = breadth("run", "-m", "smollm2-135m", *files, "-o", str(tmp_path / "out"))
    assert_one_line(shown, 2, "would share the folder")


def test_two_different_tasks_of_one_name_are_refused(breadth, tmp_path: Path) -> None:
    (tmp_path / "1.yaml").write_text(TASK)
    (tmp_path / "2.yaml").write_text(TASK.replace("blue", "green"))
    files = ["-t", str(tmp_path / "1.yaml"), "-t", str(tmp_path / "2.yaml")]
    shown = breadth("run", "-m", "smollm2-135m", *files, "-o", str(tmp_path / "out"))
    assert_one_line(shown, 2, "two different tasks named colours would share")


@pytest.mark.model
def test_only_a_grid_gives_a_verdict(breadth, task_file: str) -> None:
    shown = breadth("run", "-m", "smollm2-135m", "-t", task_file, "--json", "-r", "temperature=1")
    (facts,) = json.loads(shown.out)["diagnoses"]
    assert facts["bottleneck"] is None
    assert facts["sentence"] is None
    assert 0 <= facts["oracle_size_validity"] <= 1


def test_an_output_folder_that_is_a_file_is_refused_at_once(breadth, tmp_path: Path, task_file: str) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    shown = breadth("run", "-m", "smollm2-135m", "-t", task_file, "-o", str(out))
    assert_one_line(shown, 2, "is a file")
    assert out.read_text() == "mine"


def run_python(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    code = f"import sys; sys.argv = ['breadth', *{arguments!r}]; from breadth.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = run_python("show", "us-states", stdout=full)
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"bug in breadth" not in done.stderr


def test_a_terminal_without_unicode_gets_escapes() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = run_python("show", "countries-africa", stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0
    assert b"C\\xf4te d'Ivoire" in done.stdout


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    done = run_python("ls", "tasks", stdout=write)
    os.close(write)
    assert done.stderr == b""


# From a kept run on: no model is needed


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    out = tmp_path / "kept"
    for model in (toys.broken_shape(), toys.broken_order()):
        study.run_unit(model, toys.letters_task(), out=out)
    return out


def test_explain_prints_an_account_that_a_person_reads(breadth, kept: Path) -> None:
    shown = breadth("explain", str(kept), "--no-figures")
    assert shown.status == 0
    account = " ".join(shown.out.split())
    assert "broken-order on letters, temperature=1,top_k=50 [transformers]" in account
    for heading in ("Where it is lost", "What is to blame", "What could be won back"):
        assert account.count(heading) == 2
    assert "Order is perfect at every prefix" in account
    assert "at the first token: the valid 'f' ranks 8, below 2 invalid tokens ('u', 'v')" in account
    assert "A better sampler could win back all that is missing." in account
    assert "only a model that ranks the answers better" in account
    for unit in kept.iterdir():
        assert {"answers.parquet", "prefixes.parquet", "run.parquet", "explanation.json"} <= {
            path.name for path in unit.iterdir()
        }


def test_explain_takes_one_unit_a_rule_and_a_number_of_samples(breadth, kept: Path) -> None:
    unit = kept / "broken-shape--letters"
    options = ["--rule", "min_p=0.1", "--engine", "vllm", "-n", "10", "--json", "--no-tables", "--no-figures"]
    shown = breadth("explain", str(unit), *options)
    (facts,) = json.loads(shown.out)["explanations"]
    assert facts["rule"] == "min_p=0.1 [vllm]"
    assert facts["samples"] == 10
    assert facts["ladder"]["log_tuning"] >= 0
    assert not (unit / "run.parquet").exists()


def test_cutoffs_shows_one_cutoff_a_prefix(breadth, kept: Path) -> None:
    unit = str(kept / "broken-order--letters")
    shown = breadth("cutoffs", unit, "--recall", "1").out
    assert "broken-order on letters: the best precision at recall ≥ 1" in shown
    assert "at 6 other prefixes the one valid token alone is kept" in shown
    assert "6 of 6 answers can be given; precision 0.750" in shown
    shown = breadth("cutoffs", unit, "--precision", "0.9")
    problem = "broken-order on letters: no cutoffs reach precision 0.9: the most is 0.75"
    assert_one_line(shown, 2, problem)
    shown = breadth("cutoffs", unit, "--no-uniform", "--recall", "0.5")
    assert "validity 0.600 and diversity 1.000 at temperature 1" in shown.out


def test_cutoffs_goes_on_where_one_unit_is_out_of_reach(breadth, kept: Path) -> None:
    shown = breadth("cutoffs", str(kept), "--precision", "0.9")
    assert shown.status == 0
    assert "broken-order on letters: no cutoffs reach precision 0.9" in shown.err
    assert "broken-shape on letters: the most recall at precision ≥ 0.9" in shown.out


def test_no_number_is_cut_at_eighty_columns(breadth, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breadth.report.terminal.WIDTH_WITHOUT_TERMINAL", 80)
    for arguments in (["compare", str(kept)], ["explain", str(kept), "--no-tables", "--no-figures"]):
        shown = breadth(*arguments)
        assert shown.status == 0
        assert "…" not in shown.out.replace(", …)", "")
    assert "validity 0.600; diversity 1.000" in breadth("compare", str(kept)).out


def test_theory_says_what_holds_and_what_does_not_apply(breadth, kept: Path) -> None:
    shown = breadth("theory", str(kept))
    assert shown.status == 0
    for theorem in ("E.1", "frontier", "E.3", "F.4", "F.5", "F.6"):
        assert theorem in shown.out
    assert "violated" not in shown.out
    checks = json.loads(breadth("theory", str(kept), "--json").out)["checks"]
    assert {check["verdict"] for check in checks} <= {"holds", "not applicable"}
    assert {check["model"] for check in checks} == {"broken-shape", "broken-order"}


def test_a_violated_theorem_is_an_error(breadth, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = theory.Check("E.1", "a product", "violated", -0.1, "difference", "made up")
    monkeypatch.setattr(theory, "check_theory", lambda _: [check])
    shown = breadth("theory", str(kept))
    assert shown.status == 1
    assert "violated" in shown.out


def test_compare_puts_models_side_by_side(breadth, kept: Path, tmp_path: Path) -> None:
    out = tmp_path / "compared"
    shown = breadth("compare", str(kept), "--out", str(out))
    assert shown.status == 0
    assert "broken-order" in shown.out
    assert "broken-shape" in shown.out
    assert {"comparison.parquet", "comparison.csv", "figures"} == {path.name for path in out.iterdir()}
    rows = json.loads(breadth("compare", str(kept), str(kept), "--json").out)["rows"]
    assert [row["model"] for row in rows] == ["broken-order", "broken-shape"]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["explain", "{nowhere}"], ["is not the folder of a run", "breadth run --out"]),
        (["explain", "{kept}", "--rule", "oracle_size"], ["'oracle_size' is an oracle"]),
        (["explain", "{kept}", "--rule", "nonsense=1"], ["nonsense is unknown"]),
        (["explain", "{kept}", "--engine", "vllm"], ["--engine vllm needs --rule"]),
        (["cutoffs", "{kept}", "--recall", "2"], ["--recall 2 is no share"]),
        (["cutoffs", "{kept}", "--recall", "0.5", "--precision", "0.5"], ["give one of them"]),
        (["cutoffs", "{kept}", "--temperature", "0"], ["--temperature 0", "0.001 to 1000"]),
        (["theory", "{nowhere}"], ["is not the folder of a run"]),
        (["compare", "{kept}/broken-shape--letters"], ["nothing to compare", "letters"]),
        (["compare", "{kept}", "--out", ""], ["--out is empty"]),
    ],
)
def test_mistakes_about_a_kept_run_are_one_line(
    breadth, kept: Path, tmp_path: Path, arguments: list[str], parts: list[str]
) -> None:
    shown = breadth(*(argument.format(kept=kept, nowhere=tmp_path / "nowhere") for argument in arguments))
    assert_one_line(shown, 2, *parts)


def test_a_folder_that_cannot_be_written_is_told(
    breadth, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("breadth.tables.pq.write_table", full)
    shown = breadth("explain", str(kept / "broken-shape--letters"), "--no-figures")
    assert shown.status == 1
    assert "No space left on device" in shown.err.splitlines()[-1]
    assert not list(kept.rglob(".*"))


def test_report_writes_one_page_for_several_runs(breadth, kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.html"
    shown = breadth("report", str(kept), str(kept / "broken-shape--letters"), "--out", str(path))
    assert shown.status == 0
    assert str(path) in shown.err
    page = path.read_text(encoding="utf-8")
    assert "<title>breadth: broken-order, broken-shape</title>" in page
    assert "{{" not in page.split("<script", 1)[0]
    assert breadth("report", str(kept)).status == 0
    assert (kept / "report.html").exists()
    assert_one_line(breadth("report", str(kept), "-o", str(kept)), 2, "is a folder; name a file in it")
    assert_one_line(breadth("report", str(tmp_path / "nowhere")), 2, "is not the folder of a run")


def test_view_opens_the_page_and_writes_it_where_there_is_none(
    breadth, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)) or len(opened) == 1)
    assert breadth("view", str(kept)).status == 0
    assert opened == [(kept / "report.html").resolve().as_uri()]
    assert "No browser was found" in breadth("view", str(kept)).err
