#!/usr/bin/env bash
# Optuna 5.0.0 with Alembic 1.20.1: Optuna keeps its schema's revision in `alembic_version`, the default table of every
# Alembic application. An application with revisions of its own that shares the database with a study takes Optuna's
# revision for its own, and Alembic refuses to go on: "Can't locate revision identified by 'v3.2.0.a'". A version table
# of another name (`version_table=`) serves both. Fails if that changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check optuna==5.0.0 alembic==1.20.1 2>/dev/null
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
from pathlib import Path

import optuna
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError

url = "sqlite:///shared.db"
optuna.create_study(study_name="a study", storage=url)
with sqlalchemy.create_engine(url).connect() as connection:
    revision = MigrationContext.configure(connection).get_current_revision()
print("without a migration of its own, the application's revision is", revision)
assert revision is not None and revision.startswith("v")

config = Config("alembic.ini", stdout=io.StringIO())
config.set_main_option("script_location", "ours")
config.set_main_option("sqlalchemy.url", url)
command.init(config, "ours", template="generic")
command.revision(config, message="a table of ours", rev_id="0001")
env = Path("ours/env.py")
try:
    command.upgrade(config, "head")
except CommandError as error:
    print("alembic upgrade head:", error)
    assert revision in str(error)
else:
    raise SystemExit("alembic took the database for its own")

env.write_text(env.read_text().replace("connection=connection,", 'connection=connection, version_table="ours_version",'))
command.upgrade(config, "head")
with sqlalchemy.create_engine(url).connect() as connection:
    both = [MigrationContext.configure(connection, opts={"version_table": name}).get_current_revision()
            for name in ("alembic_version", "ours_version")]
print("with a version table of another name:", both)
assert both == [revision, "0001"]
PYTHON
