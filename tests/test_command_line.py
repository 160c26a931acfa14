"""The rules of the command line, which hold for every option of every command, whoever reads it."""

import pytest

from command import read_by_typer, read_plainly
from convcli.cli import run
from convcli.commands import COMMANDS, command_function
from convcli.errors import UsageError
from convcli.options.declare import declared, kinds

NO_NUMBERS = ("1_0", "３", "٢", "0x10", "1e999", "nan", "inf", "-inf", "1,2", "two", "1 2", "--1", "1e", ".", "\u00a02")
BLANK = ("", " ", "\t")
NEEDED = {"completion": ["bash"]}
TABLE = {name: declared(command_function(name)) for name in COMMANDS}
OPTIONS = [(name, each) for name, taken in TABLE.items() for each in taken if each.names]
FLAGS = [(name, each) for name, each in OPTIONS if each.is_flag]
VALUED = [(name, each) for name, each in OPTIONS if not each.is_flag]
NUMBERS = list({id(each.mark): (name, each) for name, each in VALUED if each.is_number}.values())
"""What commands share once: to have typer read a line takes milliseconds."""


def shown(value):
    return value if isinstance(value, str) else ""


def over(rows):
    """A test for each command, which goes through its options."""
    options = {name: [each for other, each in rows if other == name] for name, _ in rows}
    return pytest.mark.parametrize(("name", "options"), options.items(), ids=shown)


def needed(name, each=None):
    """What the command must be given beside an option."""
    must = [other for other in TABLE[name] if other.is_required and other.names and other is not each]
    return [*NEEDED.get(name, []), *(f"{other.names[0]}=box:3" for other in must)]


def sample(each):
    """A value that an option takes."""
    number = str(min(1, each.mark.settings.get("max", 1)))
    return each.mark.choices[-1] if each.mark.choices else number if each.is_number else "text"


def read(name, *words):
    """The values of a command line, without the parser."""
    return read_plainly(name, words)


def refusal(name, *words):
    """What both readers say of a command line that breaks a rule: one thing."""
    with pytest.raises(UsageError) as plain:
        read(name, *words)
    with pytest.raises(UsageError) as parsed:
        read_by_typer(name, words)
    assert str(plain.value) == str(parsed.value)
    return plain.value


def parsed(name, *words):
    """The values of a command line, by typer."""
    return read_by_typer(name, words)


@over(VALUED)
def test_an_empty_value_is_refused(name, options):
    for each in options:
        for blank in BLANK:
            for option in each.names:
                lines = [[f"{option}={blank}"], *([] if each.is_optional else [[option, blank]])]
                for line in lines:
                    error = refusal(name, *needed(name, each), *line)
                    assert (option, True) == (error.where, "empty" in error.message), line


@over(VALUED)
def test_a_value_may_follow_or_be_joined(name, options):
    for each in options:
        value, long = sample(each), each.names[-1]
        base = read(name, *needed(name, each), f"{long}={value}")
        assert (value if isinstance(base[each.field], str) else each.read(value)) in (
            base[each.field] if each.is_list else [base[each.field]]
        )
        forms = [[f"{option}={value}"] for option in each.names]
        forms += [[option + value] for option in each.names if not option.startswith("--")]
        forms += [] if each.is_optional else [[option, value] for option in each.names]
        for form in forms:
            assert base == read(name, *needed(name, each), *form), form
        assert base == parsed(name, *needed(name, each), *forms[0])


@over(VALUED)
def test_what_looks_like_an_option_is_no_value(name, options):
    for each in options:
        known = [option for other in TABLE[name] for option in other.names]
        for option in [] if each.is_optional else each.names:
            for like in [*known[::9], "--nonsense", "-x", "--", "--json=1", "-h"]:
                error = refusal(name, *needed(name, each), option, like)
                assert option == error.where
                assert repr(like) in error.message


@over([(name, each) for name, each in VALUED if not (each.is_number or each.mark.choices)])
def test_a_value_that_is_joined_is_taken_as_it_is(name, options):
    for each in options:
        for like in ("--json", "-q", "--", "=", "a=b", "-1 0 1", "é\udcff"):
            value = read(name, *needed(name, each), f"{each.names[-1]}={like}")[each.field]
            assert like == (value[0] if each.is_list else value)


@over([(name, each) for name, each in VALUED if not (each.is_number or each.mark.choices or each.is_optional)])
def test_a_value_may_be_negative(name, options):
    for each in options:
        for negative in ("-1 0 1", "-1", "-.5", "-"):
            value = read(name, *needed(name, each), each.names[0], negative)[each.field]
            assert negative == (value[0] if each.is_list else value)


@over(VALUED)
def test_a_value_that_is_missing_is_missed(name, options):
    for each in options:
        for option in [] if each.is_optional else each.names:
            error = refusal(name, *needed(name, each), option)
            assert (option, "needs a value") == (error.where, error.message.partition(": ")[0])


@over(VALUED)
def test_what_can_have_one_value_is_given_once(name, options):
    for each in options:
        value, first, last = sample(each), each.names[0], each.names[-1]
        twice = [*needed(name, each), f"{first}={value}", f"{last}={value}"]
        if each.is_list:
            assert 2 == len(read(name, *twice)[each.field]) == len(parsed(name, *twice)[each.field])
        else:
            assert "twice" in refusal(name, *twice).message


@over(FLAGS)
def test_a_flag_takes_no_value_and_says_more_when_it_is_repeated_only_if_it_is_counted(name, options):
    for each in options:
        base = needed(name)
        for option in each.names:
            once = read(name, *base, option)
            assert once == parsed(name, *base, option)
            assert (1, type(once[each.field])) == (once[each.field], int if each.is_counted else bool)
            twice = once | {each.field: 2} if each.is_counted else once
            assert twice == read(name, *base, option, option) == parsed(name, *base, option, option)
            for value in ("1", "", "true"):
                assert "takes no value" == refusal(name, *base, f"{option}={value}").message


@over(NUMBERS)
def test_a_number_is_written_in_ascii(name, options):
    for each in options:
        whole = int in kinds(each.type)
        for wrong in (*NO_NUMBERS, *(["1.5", "1e3"] if whole else [])):
            if wrong not in each.mark.offered():
                error = refusal(name, *needed(name, each), f"{each.names[-1]}={wrong}")
                assert (each.names[-1], True) == (error.where, wrong in error.message or repr(wrong) in error.message)
        for right in ("1", "+1", " 1 ", *([] if whole else ["1.", "1e0", ".1e1", "10e-1"])):
            if each.mark.settings.get("max", 1) >= 1:
                assert 1 == read(name, *needed(name, each), f"{each.names[-1]}={right}")[each.field]


@over([(name, each) for name, each in NUMBERS if each.mark.settings.keys() & {"min", "max"}])
def test_a_number_keeps_to_its_bounds(name, options):
    for each in options:
        settings, base = each.mark.settings, needed(name, each)
        for bound, step in (("min", -1), ("max", 1)):
            if bound in settings:
                assert settings[bound] == read(name, *base, f"{each.names[-1]}={settings[bound]}")[each.field]
                assert "too" in refusal(name, *base, f"{each.names[-1]}={settings[bound] + step}").message


@over(OPTIONS)
def test_a_name_is_written_out_and_the_nearest_is_offered(name, options):
    for each in options:
        known = [option for other in TABLE[name] for option in other.names]
        long = each.names[-1]
        for short in {long[:-1], long[:5]} - {*known, "--", "-"}:
            error = refusal(name, *needed(name, each), short, "1")
            assert "no such option" in error.message
        assert (
            long in refusal(name, *needed(name, each), long[:-1] + long[-1] * 2).message
            or "--" == long[:2] == long[-2:]
        )


@over([(name, each) for name, each in OPTIONS if each.names[-1].startswith("--")])
def test_a_long_name_has_two_dashes(name, options):
    for each in options:
        for words in ([each.names[-1][1:], "1"], [f"{each.names[-1][1:]}=1"]):
            assert "two dashes" in refusal(name, *needed(name, each), *words).message


@pytest.mark.parametrize("name", [name for name, taken in TABLE.items() if not all(each.names for each in taken)])
def test_behind_two_dashes_all_are_words(name):
    taken = next(each for each in TABLE[name] if not each.names)
    words = ["--json", "-q", "--", "-1"] if taken.is_list else [taken.mark.offered()[-1]]
    options = [word for word in needed(name) if word.startswith("-")]
    found = read(name, *options, "--", *words)
    assert (words if taken.is_list else words[0]) == found[taken.field]
    assert found == parsed(name, *options, "--", *words)


IMAGES = ("conv2d", "conv3d", "upsample", "separable", "dilate")


@over([(name, each) for name, each in OPTIONS if name in IMAGES])
def test_a_number_behind_an_option_is_no_name_of_a_file(name, options, tmp_path, monkeypatch):
    for each in options:
        monkeypatch.chdir(tmp_path)
        base, value = needed(name, each), [] if each.is_flag or each.is_optional else [sample(each)]
        error = refusal(name, *base, "in.png", each.names[0], *value, "2")
        assert (each.names[0], True) == (error.where, "2" in error.message)
        (tmp_path / "2").touch()
        assert ["in.png", "2"] == read(name, *base, "in.png", each.names[0], *value, "2")["inputs"]
        (tmp_path / "2").unlink()


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("-k gaussian 2", "-k gaussian:2"),
        ("-k gaussian 2 3", "-k gaussian:2,3"),
        ("-k 0 -1 0", "-k 0,-1,0"),
        ("-k box:3 -s 2 2", "-s 2,2"),
        ("-k box:3 -p 1 1", "-p 1,1"),
        ("-k box:3 --origin 1 1", "--origin 1,1"),
        ("-k box:3 --verify 200", "--verify=200"),
        ("-k box:3 --linear true", "takes no value"),
        ("-k box:3 -j 2 2", "takes one number"),
    ],
)
def test_numbers_that_belong_to_an_option_are_answered_with_what_to_write(words, answer):
    assert answer in str(refusal("conv2d", "in.png", *words.split()))


def test_options_of_one_letter_stand_together_and_the_last_may_have_a_value():
    values = read("conv2d", "in.png", "-k=box:3", "-qfo=out.png")
    assert (["box:3"], True, True, "out.png") == tuple(values[key] for key in ("kernel", "quiet", "force", "output"))


@pytest.mark.parametrize(
    ("option", "values"),
    {
        "--stride": ("٢", "1_0", "２", "1,٢", "0", "-1", "1e0", "2,"),
        "--dilation": ("٢", "1_0", "2;2"),
        "--padding": ("٢", "1_0", "1:٢", "-1", "1:", ":1", "²"),
        "--origin": ("٢", "1_0", "-1"),
        "--border": ("constant=1_0", "constant=٣", "constant=1e999", "constant="),
        "--memory": ("1_0MiB", "٣GB", "1e9", "9" * 400, "8KiB"),
        "--scale": ("0", "-0", "0.0"),
    }.items(),
)
def test_numbers_inside_a_value_are_written_in_ascii_and_make_sense(option, values, tmp_path, capsys):
    for value in values:
        assert 2 == run(["conv2d", str(tmp_path), "-k", "box:3", "-o", str(tmp_path / "out.png"), f"{option}={value}"])
        assert option in capsys.readouterr().err, value


@pytest.mark.parametrize("value", ["1_0", "٢", "1e9", "1/0", "0", "1e999999999", "nan", "-1"])
def test_a_factor_of_upsample_is_written_in_ascii(value, capsys):
    assert 2 == run(["upsample", "in.png", "-k", "bilinear", "-o", "out.png", f"--scale={value}"])
    assert "--scale" in capsys.readouterr().err


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_words_mean_the_same_in_any_case(case):
    from convcli.filters.borders import PADDINGS, parse_border, parse_padding

    for name, each in VALUED:
        for choice in each.mark.choices:
            given = read(name, *needed(name, each), f"{each.names[-1]}={case(choice)}")[each.field]
            assert choice == (given[0] if each.is_list else given)
    assert parse_border("y=edge,x=wrap", "YX") == parse_border(case("y=edge,x=wrap"), "YX")
    assert list(PADDINGS) == [parse_padding(case(rule), 2) for rule in PADDINGS]
