"""The wheel holds all that a user needs, and works outside of the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = folder.glob("setwright-*.whl")
    target = folder / "site"
    zipfile.ZipFile(wheel).extractall(target)
    return target


def run(installed, tmp_path, *arguments):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    environment.pop("SETWRIGHT_HOME", None)
    return subprocess.run(
        [sys.executable, "-c", "import sys; from engine.cli import main; main()", *arguments],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_a_shipped_spec_builds_from_an_installed_wheel(installed, tmp_path):
    started = run(installed, tmp_path, "init", "mine")
    assert started.returncode == 0, started.stderr
    (spec,) = (tmp_path / "mine").glob("*.yaml")
    built = run(installed, tmp_path, "build", str(spec))
    assert built.returncode == 0, built.stdout + built.stderr
    listed = run(installed, tmp_path, "sql", "--list")
    assert "funnel" in listed.stdout


@pytest.mark.slow
def test_the_wheel_holds_both_packages_specs_and_queries(installed):
    for path in (
        "engine/py.typed",
        "trainers/__init__.py",
        "engine/shipped/sql/funnel.sql",
        "engine/shipped/specs/curate.yaml",
    ):
        assert (installed / path).exists(), path


@pytest.mark.slow
def test_the_core_imports_neither_torch_nor_transformers(installed, tmp_path):
    heavy = "{'torch', 'transformers', 'datasets'}"
    code = f"import sys, engine.builds, engine.cli.plan; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert out.stdout.strip() == "[]"
