"""`convcli tune`: the fit finds a machine again, the profile is kept, and one that is not ours is left out."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from command import convcli
from convcli import tuning
from convcli.geometry.axis import Geometry
from convcli.geometry.problem import Problem
from convcli.machine import MEASURED_ALONE, PROFILE, Machine, known, profile_text, read_profile, unit_names
from convcli.planner import make_plan, price_alone


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A place for a profile that does not exist yet."""
    path = tmp_path / "settings" / "machine.json"
    monkeypatch.setenv(PROFILE, str(path))
    known.cache_clear()
    make_plan.cache_clear()
    yield path
    known.cache_clear()
    make_plan.cache_clear()


def another_machine(seed):
    """A machine whose numbers are others by up to three times."""
    rng = np.random.default_rng(seed)
    numbers = {name: getattr(Machine(), name) * 3 ** rng.uniform(-1, 1) for name in unit_names()}
    return replace(Machine(), **numbers)


def timings_on(machine):
    """What the whole grid would take on a machine whose prices are right."""
    for case in tuning.GRID:
        axes = tuple(
            Geometry(n, k, case.stride, 1, k // 2, k // 2) for n, k in zip(case.size, case.kernel, strict=True)
        )
        bank = {"channels_in": case.channels, "channels_out": case.filters} if case.filters else {}
        problem = Problem(axes, rank=case.rank or None, **bank)
        for candidate in make_plan(problem, machine=Machine()).candidates:
            if candidate.cost:
                method = candidate.method
                units = tuple(price_alone(method, problem, tuning.unit(name)).seconds for name in unit_names())
                seconds = price_alone(method, problem, machine).seconds
                yield tuning.Timing(case, method, seconds, units)


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_explains_the_times_of_another_machine(seed):
    machine = another_machine(seed)
    timings = list(timings_on(machine))
    assert 0.15 < tuning.relative_error(timings, Machine())
    assert tuning.relative_error(timings, tuning.fit(timings, Machine())) < 0.1


def test_what_was_not_measured_stays_as_it_was():
    assert Machine() == tuning.fit([], Machine())


def test_prices_are_sums_of_units_of_work():
    machine = another_machine(7)
    for timing in list(timings_on(machine))[::5]:
        assert timing.seconds == pytest.approx(timing.predicted(machine))


def test_a_profile_comes_back_as_it_was(profile):
    machine = another_machine(5)
    profile.parent.mkdir()
    profile.write_text(profile_text(machine))
    assert machine == known().machine
    assert known().tuned
    assert "" == known().remark


def broken(change):
    """A profile with something changed."""
    content = json.loads(profile_text(Machine()))
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ""),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "schema"),
        (broken(lambda c: c.update(schema=2)), "schema"),
        (broken(lambda c: c["fingerprint"].update(processor="another")), "another machine"),
        (broken(lambda c: c["seconds"].pop("tap")), "missing"),
        (broken(lambda c: c["seconds"].update(tap=-1)), "positive"),
        (broken(lambda c: c["seconds"].update(tap=float("nan"))), "positive"),
        (broken(lambda c: c["seconds"].update(tap="fast")), "positive"),
        (broken(lambda c: c.update(seconds=3)), "missing"),
    ],
)
def test_a_broken_or_foreign_profile_is_left_out_with_a_remark(text, reason, profile):
    profile.parent.mkdir()
    profile.write_text(text)
    assert Machine() == known().machine
    assert reason in known().remark
    assert bool(reason) == bool(known().remark)


def test_no_profile_is_no_remark(profile):
    assert (Machine(), "", False) == (known().machine, known().remark, known().tuned)


def test_the_planner_goes_by_the_profile(profile):
    problem = Problem((Geometry(600, 7, begin=3, end=3),) * 2)
    assert "fft" != make_plan(problem).method
    slow = dict.fromkeys(("tap", "pass_tap", "band", "product"), 1e-06)
    profile.parent.mkdir()
    profile.write_text(profile_text(replace(Machine(), **slow)))
    known.cache_clear()
    make_plan.cache_clear()
    assert "fft" == make_plan(problem).method


def test_the_report_says_that_a_profile_was_left_out(tmp_path, profile):
    profile.parent.mkdir()
    profile.write_text("{")
    np.save(tmp_path / "a.npy", np.ones((9, 9), np.float32))
    done = convcli("conv2d", tmp_path / "a.npy", "-k", "box:3", "-o", tmp_path / "b.npy", "--strict")
    assert 0 == done.returncode
    assert b"was left out: it is no JSON; convcli tune makes a new one" in done.stderr


@pytest.fixture
def small_grid(monkeypatch):
    monkeypatch.setattr(tuning, "GRID", tuning.GRID[:1])
    monkeypatch.setattr(tuning, "RUNS", 1)


def test_tune_keeps_what_it_measured(profile, small_grid, capsys):
    from convcli import cli

    assert 0 == cli.run(["tune", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert asdict(read_profile(profile.read_text())) == {key: shown[key] for key in asdict(Machine())}
    assert all(shown[name] > 0 for name in (*unit_names(), *MEASURED_ALONE))
    known.cache_clear()
    assert 0 == cli.run(["tune", "--show"])
    assert f"measured here: {profile}" in capsys.readouterr().out
    assert 0 == cli.run(["tune", "--reset"])
    assert "the numbers shipped" in capsys.readouterr().out
    assert not profile.exists()


def test_a_profile_that_cannot_be_kept_is_one_line(tmp_path, monkeypatch, small_grid, capsys):
    from convcli import cli

    (tmp_path / "file").write_text("")
    monkeypatch.setenv(PROFILE, str(tmp_path / "file" / "machine.json"))
    known.cache_clear()
    assert 1 == cli.run(["tune"])
    assert 1 == len(capsys.readouterr().err.splitlines())
    known.cache_clear()


def test_an_empty_profile_name_measures_nothing(monkeypatch, capsys):
    from convcli import cli

    monkeypatch.setenv(PROFILE, "")
    assert 2 == cli.run(["tune"])
    assert "CONVCLI_PROFILE is empty" in capsys.readouterr().err
