"""What JSON says is what the published schema says; also of a command that came to no end."""

import json
from importlib.resources import files

import numpy as np
import pytest

from convcli.report import SCHEMA
from reports import PATH, faults, schema


def test_the_schema_is_in_the_package_and_of_the_version_that_reports_are():
    assert PATH.read_text() == files("convcli").joinpath("report.schema.json").read_text()
    assert SCHEMA == schema()["properties"]["schema"]["const"]


FILTERED = {
    "conv2d -k gaussian:2 --verify": "done",
    "conv2d -k 1^1^1 -t uint8": "failed",
    "conv2d -k gaussian:2 --explain": "skipped",
    "conv2d -k box:3@0 --axes CYX --region :9,:": "done",
    "upsample -k bilinear": "done",
    "upsample -k lanczos --scale 1.5": "done",
    "dilate -k box:3 --rates 1,2": "done",
    "dilate -k box:3 --chain 1,2": "done",
    "separable --depthwise box:3 --pointwise '1 1' --axes CYX": "done",
}


@pytest.mark.parametrize("line", FILTERED)
def test_a_report_is_as_the_schema_has_it(run, line):
    import shlex

    np.save("in.npy", np.ones((2, 30, 20) if "CYX" in line else (30, 20), np.uint8))
    run(*shlex.split(line), "in.npy", "--json", "-q", "-o", "out.npy")
    (report,) = map(json.loads, run.output.splitlines())
    assert [] == list(faults(report, schema()))
    assert FILTERED[line] == report["status"]
    assert set(schema()["required"]) <= report.keys()


def test_the_check_finds_what_is_wrong(run):
    np.save("in.npy", np.ones((30, 20), np.uint8))
    run("conv2d", "in.npy", "-k", "box:3", "--json", "-o", "out.npy")
    report = json.loads(run.output)
    for change in ({"macs": "1"}, {"status": "gone"}, {"schema": 2}, {"nan": True}, {"shape": {"input": [1.5]}}):
        assert list(faults({**report, **change}, schema()))
    del report["where"]
    assert ["report has no 'where'"] == list(faults(report, schema()))


WRONG = {
    "conv2d in.npy -k gausian -o o.npy": ("kernel", 2),
    "conv2d in.npy -k box:3 --no-such -o o.npy": ("usage", 2),
    "conv2d in.npy -k box:3": ("usage", 2),
    "conv2d in.npy -k box:3 --stride 0 -o o.npy": ("usage", 2),
    "dilate in.npy -k box:3 -o o.npy": ("usage", 2),
    "upsample in.npy -k bilinear -o gone/o.npy": ("not-found", 1),
}


@pytest.mark.parametrize("line", WRONG)
def test_what_ended_a_filter_is_one_object_too(run, line):
    np.save("in.npy", np.ones((30, 20), np.uint8))
    code, errors = run(*line.split(), "--json")
    (report,) = map(json.loads, run.output.splitlines())
    assert [] == list(faults(report, schema()))
    assert ("failed", *WRONG[line]) == (report["status"], report["code"], code)
    assert 1 == len(errors)
    assert report["message"] in errors[0]


@pytest.mark.parametrize("line", ["shapes 3@8x8 conv9", "flops 3@8x8 what", "kernels gausian", "tune --no"])
def test_what_ended_a_question_is_one_object_too(run, line):
    code, errors = run(*line.split(), "--json")
    (report,) = map(json.loads, run.output.splitlines())
    assert {"schema", "status", "code", "message", "where"} == report.keys()
    assert (SCHEMA, "failed", 1) == (report["schema"], report["status"], len(errors))
    assert code


def test_nothing_but_pixels_goes_where_pixels_are_to_go(run):
    np.save("in.npy", np.ones((30, 20), np.uint8))
    assert 2 == run("conv2d", "in.npy", "-k", "gausian", "--json", "-o", "-")[0]
    assert "" == run.output
