"""What a person is told of settings that cannot be used: the variable's name, what was expected, what came; never a secret."""

from __future__ import annotations

import errno
import socket
from importlib import import_module
from pathlib import Path

import pytest
from machine import fast_backend
from pydantic import ValidationError
from typer.testing import CliRunner

from app.cli import EXPECTED, _expected, app
from app.context import build
from app.errors import Refused
from app.server import listen
from app.settings import Settings


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None)  # type: ignore[call-arg]
    told = _expected(caught.value)
    assert told is not None
    return told


def test_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = complaint(monkeypatch, WATTPROOF_PROOF_SIZES="x", WATTPROOF_PROOF_WORKERS="0")
    assert "WATTPROOF_PROOF_SIZES: expected numbers of accounts separated by commas, as 1,10, got 'x'" in told
    assert "WATTPROOF_PROOF_WORKERS: " in told and told.endswith("got '0'")


def test_a_secret_is_not_told() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None, operator_key=["0xsecret"])  # type: ignore[call-arg, arg-type]
    told = _expected(caught.value)
    assert told is not None and "WATTPROOF_OPERATOR_KEY: " in told and "secret" not in told


def test_what_nobody_expects_keeps_its_traceback() -> None:
    assert _expected(ValueError("a slip")) is None


def test_others_variables_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("HOST", "x86_64-linux")
    assert Settings(_env_file=None)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_expected_errors_are_told_by_their_message(name: str) -> None:
    module, _, kind = name.rpartition(".")
    error = getattr(import_module(module), kind)
    assert issubclass(error, Exception)
    made = error.__new__(type("Special", (error,), {"__init__": lambda self: None, "__str__": lambda self: "what to do"}))
    assert _expected(made) == "what to do"


def test_an_unknown_chain(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        build(Settings(data_dir=tmp_path, chain="foo", _env_file=None))  # type: ignore[call-arg]
    (error,) = caught.value.errors
    assert (error.field, error.got) == ("WATTPROOF_CHAIN", "foo")


@pytest.mark.needs("anvil", "key")
def test_a_folder_that_another_process_serves(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, chain="anvil", database_url=None)
    first = build(settings)
    try:
        with pytest.raises(Refused) as caught:
            build(settings)
        (error,) = caught.value.errors
        assert (error.field, error.got) == ("WATTPROOF_DATA_DIR", str(tmp_path))
    finally:
        first.close()


def test_an_address_that_is_not_ours_and_a_port_that_is_taken() -> None:
    with pytest.raises(Refused) as caught:
        listen("192.0.2.1", 0)  # RFC 5737: nobody's
    assert [error.field for error in caught.value.errors] == ["HOST"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=str(port)) as caught:
            listen("127.0.0.1", port)
    assert [error.field for error in caught.value.errors] == ["PORT"]
    assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == errno.EADDRINUSE


def test_a_report_that_cannot_be_written_is_refused_before_the_day(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "file" / "below"), "--chain", fast_backend()])
    assert isinstance(done.exception, Refused) and done.output == ""
    assert [error.field for error in done.exception.errors] == ["--out"]
