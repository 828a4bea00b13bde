"""What studies are tested with: databases (SQLite, a PostgreSQL server of our own), models and data."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.values import (
    Candidate,
    Dimension,
    InputSource,
    Machine,
    ModelFacts,
    Settings,
    ShapeRange,
    TensorFacts,
    Workload,
)
from engines.shapes.plan import single_plan
from studies.core.records import Constraint, Objective, StudySpec
from studies.setup.spec import settle
from studies.storage.storage import Storage, open_storage
from tests.studies.planned import Ask, prepare, request_in
from tests.workloads import file_at, tiny_conv, workload_of


@pytest.fixture(scope="session")
def postgresql_folder() -> Iterator[Path]:
    """The socket's folder of a running server that trusts everyone but the user `guarded`."""
    pytest.importorskip("psycopg")
    programs = _postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    # not in tmp_path, whose folders are closed to the user that the server runs as
    folder = Path(tempfile.mkdtemp(prefix="tuner-pg-"))
    who = _unprivileged(folder)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(data), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=60, **who)

    try:
        run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        (data / "pg_hba.conf").write_text("local all guarded scram-sha-256\nlocal all all trust\n")
        settings = f"-c listen_addresses='' -k {folder} -c fsync=off -c synchronous_commit=off"
        run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", settings)
        try:
            yield folder
        finally:
            run("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgresql_url(postgresql_folder: Path) -> str:
    import psycopg

    name = f"studies_{uuid4().hex}"
    with psycopg.connect(
        host=str(postgresql_folder), user="postgres", dbname="postgres", autocommit=True
    ) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    return f"postgresql://postgres@/{name}?host={postgresql_folder}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    with open_storage(database_url) as opened:
        yield opened


@pytest.fixture
def study_spec() -> StudySpec:
    model = ModelFacts(
        file=file_at("/models/net.onnx", "9f86d081884c7d659a2feaa0c55ad015"),
        inputs=(TensorFacts("image", "float32", ("batch", 3, None)), TensorFacts("ids", "int64", (1, 4))),
        outputs=(TensorFacts("größe", "float32", ("batch", 10)),),
        opset=21,
        operators={"Gather": 1, "Conv": 20},
        parameters=272_474,
        weight_bytes=1_089_896,
        index_limits={"ids": 30_522},
    )
    shapes = {"image": ShapeRange((1, 3, 8), (8, 3, 32), (16, 3, 64))}
    return StudySpec(
        workload=Workload(
            model, single_plan(shapes, 8), ("image",), InputSource(3, file_at("/data/in.npz", "ab12"))
        ),
        backend="fake",
        backend_options=Settings(noise=0.1, seed=1, crashes=True, mode="quick"),
        machine=Machine(
            "gpu", "a GPU", 2, 2**40, "Linux", "570.1", libraries={"fake": "1"}, limits={"power_watts": 300.5}
        ),
        objectives=(Objective("latency_ms", "minimize"), Objective("throughput", "maximize")),
        constraints=(Constraint("error", "<=", 0.01), Constraint("throughput", ">=", 1.0)),
        space=(
            Dimension("precision", "graph", ("fp32", "int8"), "fp32", "number format", {"fp16": "too old"}),
            Dimension("threads", "run", (1, 2, 4), 2, "threads within an operator"),
            Dimension("mixed", "build", (True, 1, 1.0, "1"), True, "values that are easily confused"),
        ),
        baseline=Candidate(Settings(precision="fp32"), Settings(mixed=True), Settings(threads=2)),
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, where the command runs, with a model, functions, inputs, outputs and calibration data."""
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def ask(here: Path) -> Ask:
    return lambda **changes: settle(request_in(here, **changes), Workspace(here / "w"))


def _postgresql_programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None


def _unprivileged(folder: Path) -> dict[str, Any]:
    """What subprocess needs to run as a user that may start a server, which root may not."""
    if os.geteuid() != 0:
        return {}
    import pwd

    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
