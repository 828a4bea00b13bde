"""What commands print for other programs besides studies: plans, recordings, measured engines and others."""

from typing import Annotated, Any

from tuner.documents.base import Backend, Document, Estimate, Failure, Machine, Numbered, about
from tuner.documents.measurement import Measurement


class PlannedDimension(Document):
    name: Annotated[str, about("its name")]
    kind: Annotated[str, about("`graph`, `build` or `run`")]
    choices: Annotated[list[Any], about("what would be searched")]
    excluded: Annotated[dict[str, str], about("why this choice cannot be used on this machine or model")]
    about: Annotated[str, about("what the dimension is")]


class MeasuredBaseline(Document):
    known: Annotated[bool, about("whether it was measured before")]
    state: Annotated[str, about("`feasible`, `infeasible` or `failed`")]
    metrics: Annotated[dict[str, Estimate], about("what was measured")]
    failure: Annotated[Failure | None, about("why it failed, as in a trial")]
    making_seconds: Annotated[float, about("what making its graph and engine took, now or before")]
    measuring_seconds: Annotated[float, about("what loading, checking, warming up and measuring it took")]


class Seconds(Document):
    expected: Annotated[float, about("what is expected")]
    least: Annotated[float, about("at least")]
    most: Annotated[float, about("at most")]


class Prediction(Document):
    trials: Annotated[int, about("trials that are still to be made, as far as there is time")]
    total_seconds: Annotated[Seconds, about("what the search takes")]
    builds_seconds: Annotated[Seconds, about("of it, making graphs and engines")]
    measuring_seconds: Annotated[Seconds, about("measuring trials, and the baseline again")]
    finals_seconds: Annotated[Seconds, about("measuring the finalists")]


class SearchPlan(Numbered):
    """`tuner search --dry-run --json`."""

    backend: Annotated[str, about("name of the backend")]
    space: Annotated[list[PlannedDimension], about("the dimensions of the backend")]
    candidates: Annotated[int, about("size of the space")]
    engines: Annotated[int, about("different engines among them")]
    baseline: Annotated[dict[str, Any], about("settings of the baseline")]
    objectives: Annotated[list[str], about("metrics")]
    constraints: Annotated[list[str], about("what must hold")]
    study: Annotated[str, about("the study that the search goes on with or begins")]
    trials: Annotated[int, about("trials that it would have in the end")]
    finished_trials: Annotated[int, about("those that it had before")]
    min_gain: Annotated[
        float | None,
        about(
            "the least gain that is worth going on for (0.01 is 1 %); null with `--min-gain 0` and "
            "`--exhaustive`"
        ),
    ]
    measuring_seconds: Annotated[
        list[float],
        about("the least and the most time that warming up and measuring take; builds come on top"),
    ]
    measured_baseline: Annotated[
        MeasuredBaseline | None, about("null where it cannot be run or was interrupted")
    ]
    prediction: Annotated[
        Prediction | None, about("how long the search takes; null where nothing was measured")
    ]


class BestRecorded(Document):
    trial: Annotated[int, about("its number")]
    value: Annotated[float, about("its objective over all its runs")]


class EndedRecording(Numbered):
    """`tuner record --json`."""

    study: Annotated[str, about("the study's name")]
    ending: Annotated[str, about("as of a search")]
    candidates: Annotated[int, about("those measured so far, the baseline included")]
    failed: Annotated[int, about("how many of them failed")]
    infeasible: Annotated[int, about("how many of them miss a constraint")]
    runs: Annotated[int, about("measurements in all, those that failed and those of the baseline included")]
    new_runs: Annotated[int, about("what this run of the command added")]
    passes: Annotated[int, about("passes over the best")]
    best: Annotated[BestRecorded | None, about("the best feasible one; null without one")]
    landscape: Annotated[
        str | None, about("the file that was written; null before the baseline was measured")
    ]


class Condition(Document):
    name: Annotated[str, about("what was looked at")]
    verdict: Annotated[str, about("`fine`, `noisy`, or `unknown` if the machine does not report it")]
    found: Annotated[str, about("what there is")]
    advice: Annotated[str, about("what to do about it; empty where there is nothing to do")]


class SelfTest(Document):
    metric: Annotated[str, about("`latency_ms`")]
    backend: Annotated[str, about("name of the backend")]
    machine: Annotated[Machine, about("the machine")]
    values: Annotated[list[Estimate], about("what each run gave for the same engine")]
    seconds: Annotated[float, about("what a run timed, the median of all")]
    spread: Annotated[float, about("standard deviation of the logarithm from run to run")]
    detectable: Annotated[
        float,
        about("the smallest difference between two engines that is found in 19 of 20 cases, 0.012 for 1.2 %"),
    ]


class Diagnosis(Numbered):
    """`tuner doctor --json`."""

    model: Annotated[str | None, about("the model that was measured; null for the one made for it")]
    conditions: Annotated[list[Condition], about("what was looked at on the machine")]
    self_test: Annotated[
        SelfTest | None, about("the same engine measured again and again; null with `--runs 0`")
    ]


class Times(Document):
    min: Annotated[float, about("the shortest, in milliseconds as are the others")]
    max: Annotated[float, about("the longest")]
    mean: Annotated[float, about("their mean")]
    median: Annotated[float, about("their median")]
    p90: Annotated[float, about("their 90th percentile")]
    p95: Annotated[float, about("their 95th percentile")]
    p99: Annotated[float, about("their 99th percentile")]
    coefficient_of_variance: Annotated[float | None, about("in per cent")]


class LikeTrtexec(Document):
    version: Annotated[int, about("the major version that was matched")]
    throughput_qps: Annotated[float, about("inferences per second, of any batch")]
    latency_ms: Annotated[Times, about("as in trtexec's summary")]
    enqueue_ms: Annotated[
        Times | None, about("likewise; null if only latency is reported, as are the next three")
    ]
    h2d_ms: Annotated[Times | None, about("copies to the device")]
    compute_ms: Annotated[Times | None, about("computing")]
    d2h_ms: Annotated[Times | None, about("copies from the device")]
    total_host_walltime_s: Annotated[float, about("seconds from the first start to the last end")]
    total_gpu_compute_time_s: Annotated[
        float | None, about("mean compute time times the number of inferences")
    ]
    warnings: Annotated[list[str], about("trtexec's lines of warning and advice")]


class MeasuredEngine(Numbered):
    """`tuner measure ENGINE --json`."""

    engine: Annotated[str, about("the folder or file that was measured")]
    about: Annotated[str | None, about("which trial was exported there")]
    backend: Annotated[Backend, about("who ran it")]
    machine: Annotated[Machine, about("what it was measured on")]
    shapes: Annotated[dict[str, list[int]], about("the shape of this input that was measured")]
    settings: Annotated[dict[str, Any], about("how the engine was run, and of an export how it was built")]
    transfers: Annotated[bool, about("whether copies to and from the device were timed too")]
    spin_wait: Annotated[bool, about("whether the host waited for the device without sleeping")]
    metrics: Annotated[dict[str, Estimate], about("each metric, in its unit")]
    parts: Annotated[
        dict[str, float],
        about("milliseconds of `enqueue_ms`, `h2d_ms` and `d2h_ms`, measured separately, if reported"),
    ]
    measurement: Annotated[Measurement, about("how it was measured")]
    notes: Annotated[list[str], about("what to know beside the figures")]
    trtexec: Annotated[LikeTrtexec | None, about("null without `--like-trtexec`")]


class RankedNode(Document):
    rank: Annotated[int, about("1 for the one that hurts most")]
    node: Annotated[str, about("its name, as `--keep-fp32` takes it")]
    operator: Annotated[str, about("its type")]
    error: Annotated[
        float | None, about("relative L2 error of the worst output; null where it is not finite")
    ]
    finite: Annotated[bool, about("whether all outputs were finite")]


class Ranking(Numbered):
    """`tuner sensitivity MODEL --json`."""

    model: Annotated[str, about("the ONNX file")]
    digest: Annotated[str, about("its sha256")]
    precision: Annotated[str, about("what each node was lowered to, by itself")]
    nodes: Annotated[list[RankedNode], about("the nodes, the most hurtful first")]


class Side(Document):
    name: Annotated[str, about("what was compared, as it was named")]
    about: Annotated[str, about("what it is")]


class ComparedTensor(Document):
    name: Annotated[str, about("its name")]
    shapes: Annotated[list[list[int]], about("of the first and the second")]
    dtypes: Annotated[list[str], about("of the first and the second")]
    relative_l2: Annotated[float | None, about("its relative L2 error; null where it cannot be compared")]
    max_abs: Annotated[float | None, about("its largest absolute difference")]
    mean_abs: Annotated[float | None, about("its mean absolute difference")]
    cosine: Annotated[float | None, about("cosine of the angle between the two")]
    snr_db: Annotated[float | None, about("signal to noise ratio")]
    top1: Annotated[float | None, about("share of rows whose highest value is in the same place")]
    problem: Annotated[str | None, about("why it cannot be compared")]


class ComparedNode(ComparedTensor):
    node: Annotated[str, about("the node that makes it")]
    operator: Annotated[str, about("its type")]
    inputs: Annotated[list[str], about("the tensors that it takes, of those that were compared")]
    conversions: Annotated[list[str], about("what its inputs come through in the second")]


class Graphs(Document):
    common: Annotated[int, about("tensors that both have")]
    compared: Annotated[int, about("those compared")]
    first_beyond: Annotated[str | None, about("the first tensor beyond the limit, in the order of execution")]
    tensors: Annotated[list[ComparedNode], about("in the order of execution")]


class ComparedSides(Numbered):
    """`tuner compare A B --json`."""

    first: Annotated[Side, about("A, what B is held to")]
    second: Annotated[Side, about("B")]
    shapes: Annotated[dict[str, list[int]], about("shape of this input")]
    inputs: Annotated[str | None, about("the file of inputs; null when they are random")]
    batches: Annotated[int, about("batches that were run")]
    limit: Annotated[float, about("of the relative L2 error")]
    within: Annotated[bool, about("whether every common output keeps it")]
    outputs: Annotated[list[ComparedTensor], about("outputs that both have")]
    only_first: Annotated[list[str], about("outputs that the second does not have")]
    only_second: Annotated[list[str], about("outputs that the first does not have")]
    graphs: Annotated[Graphs | None, about("for two ONNX files, tensor by tensor; else null")]
    notes: Annotated[list[str], about("what to know beside the figures")]


class Attempt(Document):
    kept: Annotated[list[str], about("nodes kept in an engine that was tried")]
    right: Annotated[bool, about("whether it was within the limits")]
    error: Annotated[float | None, about("its error")]
    failure: Annotated[str | None, about("why it has none")]


class Bisection(Numbered):
    """`tuner bisect 7 --json`."""

    study: Annotated[str, about("its name")]
    trial: Annotated[int, about("the trial")]
    limits: Annotated[list[str], about("what its outputs are held to, such as `error<=0.01`")]
    nodes: Annotated[
        list[str] | None,
        about("the nodes that must stay in FP32; null where no set of them helps"),
    ]
    error: Annotated[float | None, about("error of the engine with these nodes kept")]
    lowerable: Annotated[int, about("nodes that could be kept")]
    attempts: Annotated[list[Attempt], about("every engine that was tried")]
