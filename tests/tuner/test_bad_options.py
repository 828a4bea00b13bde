"""Options, folders and names that make no sense: one line and a hint, exit code 2, no traceback."""

from pathlib import Path

import pytest

from tests.command import Command

# what is to be searched

BAD_OPTIONS: list[tuple[list[str], str]] = [
    (["--objective", "speed"], "unknown metric 'speed' in the objective. Known: latency_ms,"),
    (["--objective", "latency"], "Did you mean latency_ms?"),
    (["--objective", "p99_ms", "--objective", "p99_ms"], "an objective is named twice"),
    (["--objective", ""], "unknown metric ''"),
    (["--constraint", "error"], "cannot read the constraint 'error'"),
    (["--constraint", ""], "cannot read the constraint ''"),
    (["--constraint", "error<0.01"], "a constraint is <= or >=, not <"),
    (["--constraint", "error=0.01"], "a constraint is <= or >=, not ="),
    (["--constraint", "errorx<=0.01"], "Did you mean error?"),
    (["--constraint", "error<=1%"], "'1%' is not a number"),
    (["--constraint", "error<=nan"], "'nan' is not a number"),
    (["--constraint", "error<=inf"], "'inf' is not a number"),
    (["--fix", "precision"], "cannot read --fix 'precision'"),
    (["--fix", "=fp32"], "cannot read --fix '=fp32'"),
    (["--fix", "precision="], "cannot read --fix 'precision='"),
    (["--fix", "precisionx=fp32"], "no dimension 'precisionx'. Did you mean precision?"),
    (["--fix", "zzz=1"], "no dimension 'zzz'. Known: precision, "),
    (["--fix", "precision=fp8"], "precision cannot be 'fp8'. It can be fp32, fp16, int8"),
    (["--fix", "cuda_graph=maybe"], "cuda_graph cannot be 'maybe'. It can be false, true"),
    (["--fix", "precision=fp32", "--fix", "precision=int8"], "--fix names 'precision' twice"),
    (["--fix", "precision=fp32", "--precision", "int8"], "say the same twice"),
    (["--precision", "fp33"], "precision cannot be 'fp33'"),
    (["--precision", ""], "--precision names no precision"),
    (["--precision", ","], "--precision names no precision"),
    (["--trials", "0"], "--trials must be at least 1, not 0"),
    (["--trials", "-3"], "--trials must be at least 1, not -3"),
    (["--trials", "many"], "invalid value for '--trials'"),
    (["--trials", "1.5"], "invalid value for '--trials'"),
    (["--min-gain", "much"], "'much' is not a percentage. Write 1%, 0.5% or 0.01; 0 turns it off"),
    (["--min-gain", ""], "'' is not a percentage"),
    (["--min-gain", "%"], "'%' is not a percentage"),
    (["--min-gain", "1%%"], "'1%%' is not a percentage"),
    (["--min-gain", "nan"], "'nan' is not a percentage"),
    (["--min-gain", "inf"], "'inf' is not a percentage"),
    (["--min-gain", "1e-2"], "'1e-2' is not a percentage"),
    (["--min-gain=-1%"], "'-1%' is not a percentage"),
    (["--min-gain", "1"], "--min-gain must be from 0 to less than 100 %, not 100 %. Write 1%, 0.5% or 0.01"),
    (["--min-gain", "150%"], "--min-gain must be from 0 to less than 100 %, not 150 %"),
    (["--exhaustive", "--min-gain", "1%"], "--exhaustive tries every candidate, so --min-gain has no effect"),
    (
        ["--exhaustive", "--trials", "20"],
        "--exhaustive tries 432 candidates, and --trials allows 20. Leave one of them out",
    ),
    (["--exhaustive=yes"], "does not take a value"),
    (["--timeout", "soon"], "'soon' is not a time. Write 30m, 90s, 1h30m or 33ms"),
    (["--timeout", "5x"], "'5x' is not a time"),
    (["--timeout", "0"], "--timeout must be more than zero"),
    (["--timeout", "-5"], "'-5' is not a time"),
    (["--timeout", ""], "'' is not a time"),
    (["--trial-timeout", "5 parsecs"], "invalid value for '--trial-timeout'"),
    (["--trial-timeout", "0s"], "--trial-timeout must be more than zero"),
    (["--seed", "-1"], "--seed must be from 0 to 4294967295"),
    (["--seed", "99999999999"], "--seed must be from 0 to 4294967295"),
    (["--seed", "lucky"], "invalid value for '--seed'"),
    (["--backend", "tensorflow"], "unknown backend 'tensorflow'. Known: auto, "),
    (["--backend", ""], "unknown backend ''"),
    (["--backend", "fake:speed=9"], "the backend fake has no option 'speed'"),
    (["--backend", "fake:faults=flood"], "no fault 'flood'"),
    (["--backend", "fake:inert=streams"], "cannot make 'streams' inert"),
    (["--backend", "fake:noise"], "cannot read the backend's options 'noise'"),
    (["--backend", "onnxruntime:threads=2"], "no option 'threads'"),
    (["--resume", "--new"], "--resume and --new exclude each other"),
    (["--resume"], "there is no study of this search to resume. Leave --resume out"),
    (["--resume", "--study", "gone"], "there is no study 'gone' to resume. Leave --resume out"),
    (["--study", ""], "the study's name is empty"),
    (["--study", "  "], "the study's name is empty"),
    (["--study", "a/b"], "may not have '/' in it"),
    (["--study", "..\\b"], "may not"),
    (["--study", "../../b"], "may not"),
    (["--study", ".."], "may not"),
    (["--study", "a\nb"], "may not have '\\n' in it"),
    (["--study", "a\x1b[31mb"], "may not have '\\x1b' in it"),
    (["--study", "-x"], "begins with '-'"),
    (["--study", "ü" * 101], "longer than 200 bytes"),
    (["--workspace", ""], "the path is empty"),
    (["--output", ""], "the path is empty"),
    (["--speed", "9"], "there is no option '--speed'"),
    (["--trails", "9"], "there is no option '--trails'; did you mean '--trials'?"),
    (["--trials"], "option '--trials' requires an argument"),
    (["other.onnx"], "got unexpected extra argument (other.onnx)"),
]


@pytest.mark.parametrize(("options", "said"), BAD_OPTIONS, ids=[" ".join(o) for o, _ in BAD_OPTIONS])
def test_invalid_option_is_refused_in_one_line(
    command: Command, model: Path, options: list[str], said: str
) -> None:
    backend = [] if "--backend" in options else ["--backend", "fake"]
    assert said in command("search", model, *backend, *options).complaint


def test_a_choice_that_this_machine_cannot_use_is_refused_with_the_reason(
    command: Command, model: Path
) -> None:
    planned = command("search", model, "--backend", "onnxruntime", "--dry-run", "--json").document
    excluded = planned["space"][0]["excluded"]
    if "fp16" not in excluded:
        pytest.skip("this processor computes in fp16")
    said = command("search", model, "--backend", "onnxruntime", "--precision", "fp16").complaint
    assert said.startswith(f"precision=fp16 is not in the space: {excluded['fp16']}.")


# where it is to be written


def test_a_workspace_that_is_a_file(command: Command, model: Path) -> None:
    said = command("search", model, "--backend", "fake", "--workspace", model).complaint
    assert said.startswith("cannot write to the workspace ")


def test_an_output_folder_that_is_a_file_is_refused_before_anything_runs(
    command: Command, model: Path
) -> None:
    said = command("search", model, "--backend", "fake", "--output", model).complaint
    assert said.startswith("cannot write to the folder ")
    assert command("studies", "--json").document["studies"] == []


def test_an_output_folder_whose_engine_is_somebody_elses(
    command: Command, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "engine").mkdir(parents=True)
    (tmp_path / "out" / "engine" / "mine.txt").write_text("mine")
    said = command("search", model, "--backend", "fake", "--output", "out").complaint
    assert said == "'out/engine' contains files that are not an export. Choose another folder."
    assert (tmp_path / "out" / "engine" / "mine.txt").read_text() == "mine"


# the other commands

BAD_READS: list[tuple[list[str], str]] = [
    (["show", "gone"], "there is no study 'gone' in this storage. Known: net"),
    (["show", "nett"], "Did you mean net?"),
    (["show", ""], "there is no study ''"),
    (["show", "--trial", "99"], "the study 'net' has no trial 99. It has trials 0 to 29"),
    (["show", "--trial", "-1"], "the study 'net' has no trial -1"),
    (["show", "--trial", "first"], "invalid value for '--trial'"),
    (["show", "--json", "--csv"], "--json and --csv exclude each other"),
    (["show", "net", "net"], "got unexpected extra argument (net)"),
    (["studies", "net"], "got unexpected extra argument (net)"),
    (["dashboard", "gone"], "there is no study 'gone'"),
    (["dashboard", "--output", ""], "the path is empty"),
    (["dashboard", "--output", "/proc/report.html"], "cannot write the report to '/proc/report.html'"),
    (["dashboard", "--output", "."], "'.' is a folder. Name the file"),
    (["export"], "expected [STUDY] OUT, not 0 arguments"),
    (["export", "net", "out", "more"], "expected [STUDY] OUT, not 3 arguments"),
    (["export", "net"], "'net' is a study, and the folder to write to is missing: tuner export net OUT"),
    (["export", "net", ""], "the path is empty"),
    (["export", "gone", "out"], "there is no study 'gone'"),
    (["export", "--trial", "99", "out"], "no trial 99"),
    (["export", "/proc/out"], "cannot write to the folder '/proc/out'"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD_READS, ids=[" ".join(a) for a, _ in BAD_READS])
def test_missing_study_or_trial_is_refused(
    command: Command, searched: Path, arguments: list[str], said: str
) -> None:
    assert said in command(*arguments, "--workspace", searched).complaint


@pytest.mark.parametrize("name", ["show", "studies", "dashboard"])
def test_a_workspace_without_studies(command: Command, tmp_path: Path, name: str) -> None:
    said = command(name, "--workspace", "nowhere").complaint
    assert said.startswith("there are no studies in 'nowhere'")
    assert not (tmp_path / "nowhere").exists()


def test_reading_does_not_create_a_database(command: Command, tmp_path: Path) -> None:
    said = command("show", "--storage", "sqlite:///typo.db").complaint
    assert said == f"there is no database {tmp_path / 'typo.db'}. Check what --storage names."
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize("arguments", [["completion"], ["completion", "tcsh"]])
def test_completion_for_unknown_shell_is_refused(command: Command, arguments: list[str]) -> None:
    said = command(*arguments).complaint
    assert "'SHELL'" in said
    assert "fish" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("searchx", "there is no command 'searchx'; did you mean 'search'? "),
        ("fly", "there is no command 'fly'. "),
    ],
)
def test_unknown_command_is_refused(command: Command, name: str, said: str) -> None:
    assert command(name, "model.onnx").complaint == f"{said}See 'tuner --help'."
