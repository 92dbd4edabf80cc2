"""What a source distribution and an installed package hold."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Of a repository, and of nobody who builds or tests the package.
NOT_PACKED = (".gitignore", ".ci/", ".github/", "MANIFEST.in")


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Return the names of files in a source distribution."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("dist")
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(folder)!r})"
    copy = tmp_path_factory.mktemp("source") / "nengo-dl"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        return {name.partition("/")[2] for name in tar.getnames()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what belongs to it, git tells")
def test_source_distribution_is_whole(packed):
    """With all that the tests need."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    committed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    known = set(listed.stdout.splitlines()) & set(committed.stdout.splitlines())
    wanted = {name for name in known if not name.startswith(NOT_PACKED)}
    assert {"tests/conftest.py", "tests/networks.py", "nengo_dl/py.typed"} <= packed
    assert wanted - packed == set()


def test_package_is_typed():
    """Type checkers read annotations of packages that have this file."""
    assert (ROOT / "nengo_dl" / "py.typed").exists()
