from pathlib import Path

import pytest

from engines.core.errors import UserError
from studies.core.records import StudySpec
from studies.storage.database import writing
from studies.storage.storage import Storage, open_storage


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UserError) as refused:
        open_storage(f"postgresql://me:s3cr3t@/studies?host={tmp_path}&password=s3cr3t")
    message = refused.value.message
    assert message.startswith(f"the storage postgresql://me@{tmp_path}/studies cannot be used: ")
    assert "No such file or directory" in message
    assert "\n" not in message
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.hint == "Check that the server runs and that user, password and database are right."


@pytest.mark.parametrize("option", ["foo=1", "connect_timeout=soon"])
def test_an_option_of_the_url_that_psycopg_refuses(option: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match=rf"cannot be used: .*{option.partition('=')[0]}"):
        open_storage(f"postgresql://me@127.0.0.1:1/studies?{option}")


def test_a_database_that_the_server_does_not_have(postgresql_folder: Path) -> None:
    with pytest.raises(UserError, match='database "nothing" does not exist'):
        open_storage(f"postgresql://postgres@/nothing?host={postgresql_folder}")


def test_a_wrong_password(postgresql_url: str) -> None:
    with open_storage(postgresql_url) as storage, writing(storage.engine) as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS guarded")
        connection.exec_driver_sql("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    with pytest.raises(UserError, match='password authentication failed for user "guarded"') as refused:
        open_storage(postgresql_url.replace("postgres@", "guarded:wr0ng@"))
    assert "wr0ng" not in str(refused.value)


def test_a_user_who_may_not_make_tables(postgresql_url: str) -> None:
    with open_storage(postgresql_url) as storage, writing(storage.engine) as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS reader")
        connection.exec_driver_sql("CREATE ROLE reader LOGIN")
    with pytest.raises(UserError, match="cannot be used: permission denied") as refused:
        open_storage(postgresql_url.replace("postgres@", "reader@"))
    assert "grant" in refused.value.hint


def test_a_server_that_only_lets_read(postgresql_url: str, study_spec: StudySpec) -> None:
    open_storage(postgresql_url).close()
    with (
        open_storage(f"{postgresql_url}&options=-cdefault_transaction_read_only%3Don") as storage,
        pytest.raises(UserError, match="cannot be used: cannot execute INSERT in a read-only transaction"),
    ):
        storage.create_study("study", study_spec, {})


def test_a_connection_that_was_lost_is_made_again(postgresql_url: str, study_spec: StudySpec) -> None:
    with open_storage(postgresql_url) as storage, open_storage(postgresql_url) as other:
        storage.create_study("study", study_spec, {})
        end_other_connections(other)
        assert storage.study_names() == ("study",)


def test_a_server_that_goes_away(postgresql_url: str, study_spec: StudySpec) -> None:
    with open_storage(postgresql_url) as storage, open_storage(postgresql_url) as other:
        storage.create_study("study", study_spec, {})

        def lose_the_connection() -> None:
            with writing(storage.engine) as connection:
                end_other_connections(other)
                connection.exec_driver_sql("SELECT 1")

        with pytest.raises(UserError, match="cannot be used: terminating connection"):
            lose_the_connection()
        assert storage.study_names() == ("study",)


def end_other_connections(storage: Storage) -> None:
    with writing(storage.engine) as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
