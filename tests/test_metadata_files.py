"""What is said of the package in several places is said alike: versions, requirements, the image of a container."""

import re
import runpy
import sysconfig
import tomllib

import pytest

import convcli
from readme import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPE = ROOT / ".conda" / "recipe.yaml"


def test_every_place_has_the_same_version():
    recipe, citation = RECIPE.read_text(), (ROOT / "CITATION.cff").read_text()

    assert PROJECT["version"] == convcli.__version__
    assert re.findall(r'^  version: "(.*)"$', recipe, re.MULTILINE) == [convcli.__version__]
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [convcli.__version__]
    assert f"## [{convcli.__version__}] - 20" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture
def required(monkeypatch):
    """What setup.py requires for a system with some variables of its own."""
    setuptools = pytest.importorskip("setuptools")

    def ask(**variables):
        told, get = {}, sysconfig.get_config_var
        with monkeypatch.context() as patched:
            patched.setattr(setuptools, "setup", told.update)
            patched.setattr(sysconfig, "get_config_var", lambda name: variables.get(name, get(name)))
            runpy.run_path(str(ROOT / "setup.py"))
        return {each.replace(" ", "") for each in told["install_requires"]}

    return ask


LINUX = {"HOST_GNU_TYPE": "x86_64-pc-linux-gnu", "Py_GIL_DISABLED": 0}


def test_the_conda_recipe_needs_what_the_project_needs(required):
    run = re.search(r"^  run:\n((?:    - .*\n)+)", RECIPE.read_text(), re.MULTILINE)[1]
    needed = {line.removeprefix("    - ").replace(" ", "") for line in run.splitlines()}

    assert needed == {f"python{PROJECT['requires-python']}", *required(**LINUX)}


@pytest.mark.parametrize("version", [(3, 13, 0), (3, 14, 0)])
@pytest.mark.parametrize("system", ["x86_64-pc-linux-gnu", "aarch64-alpine-linux-musl", "x86_64-apple-darwin", ""])
@pytest.mark.parametrize("locked", [True, False])
def test_codecs_are_required_but_where_they_have_no_wheels(version, system, locked, required, monkeypatch):
    monkeypatch.setattr("sys.version_info", version)
    found = required(HOST_GNU_TYPE=system, Py_GIL_DISABLED=int(not locked))
    without = "musl" in system or (not locked and version < (3, 14))

    assert {"imagecodecs>=2024.6.1"} - found == ({"imagecodecs>=2024.6.1"} if without else set())
    assert found | {"imagecodecs>=2024.6.1"} == required(**LINUX) | {"imagecodecs>=2024.6.1"}


def test_the_changelog_has_the_form_of_keep_a_changelog():
    heads = re.findall(r"^(#{1,3}) (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert heads[:2] == [("#", "Changelog"), ("##", "[Unreleased]")]
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for mark, text in heads[2:]:
        if mark == "##":
            assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", text), text
        else:
            assert text in kinds


@pytest.mark.parametrize("word", ["USER 65534", "ENTRYPOINT", "slim"])
def test_the_container_is_slim_and_run_by_nobody(word):
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last = len(lines) - 1 - next(i for i, line in enumerate(reversed(lines)) if line.startswith("FROM"))
    assert any(word in line for line in lines[last:])
