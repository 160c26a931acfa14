"""Completion scripts in the real shells: what a TAB offers, what it puts on the line, and how soon.

The scripts in `completions/` are generated; `--update` rewrites them. A shell that is not installed is skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convcli.commands import COMMANDS, command_function
from convcli.commands.completion import described_commands
from convcli.filters.borders import BORDERS
from convcli.formats import FORMATS
from convcli.kernels import KERNELS
from convcli.options import complete as completions
from convcli.options.declare import declared

FOLDER = Path(__file__).parents[1] / "completions"
FILES = {"bash": "convcli.bash", "zsh": "_convcli", "fish": "convcli.fish"}
PROGRAMS = {shell: shutil.which(shell) for shell in FILES}
NOWHERE = "/nonexistent"
"""A PATH without any program: a completion that starts one fails."""
LONGEST = 10.0  # seconds that a shell may take to answer, on a machine with other work
BUDGET = 0.010  # seconds that a TAB may take in bash


@pytest.fixture(params=completions.SHELLS)
def shell(request):
    """Each shell that is installed."""
    if PROGRAMS[request.param] is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def test_the_scripts_are_those_that_the_command_table_makes(update):
    for name, file in FILES.items():
        fresh = completions.script(name, described_commands())
        if update:
            (FOLDER / file).write_text(fresh)
        assert fresh == (FOLDER / file).read_text(), f"pytest {Path(__file__).name} --update rewrites {file}"


def test_the_command_prints_the_scripts(capsys):
    from convcli import cli

    for name, file in FILES.items():
        assert 0 == cli.run(["completion", name])
        assert (FOLDER / file).read_text() == capsys.readouterr().out
    assert 2 == cli.run(["completion", "powershell"])
    assert "use bash, zsh, fish [usage]" in capsys.readouterr().err


def test_no_script_starts_a_process():
    for name, file in FILES.items():
        code = "\n".join(line for line in (FOLDER / file).read_text().splitlines() if not line.startswith("#"))
        assert [] == re.findall(r"\$\(|`|<\(|\beval\b|\bexec\b|python", code), name


# What is offered

BASH = """
source {script}
compopt() {{ :; }}
COMP_WORDS=({words}) COMP_CWORD={last} COMP_LINE={line} COMP_POINT=${{#COMP_LINE}}
_convcli
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D
compadd() {{
    if [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
    local -a hits
    builtin compadd -A hits "$@"
    print -rl -- $hits >> {output}
}}
ended() {{ print -r -- END >> {output}; comppostfuncs=(ended) }}
comppostfuncs=(ended)
PATH={nowhere} LISTMAX=1000
bindkey '^I' complete-word
"""
INTERACTIVE = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}


def broken(line):
    """A line in words as readline breaks it.

    >>> broken("convcli --a=b ")
    ['convcli', '--a', '=', 'b', '']
    """
    return [piece for word in line.split(" ") for piece in re.findall(r"[=:]+|[^=:]+", word) or [""]]


def quoted(word):
    """A word for any of the three shells."""
    return "'" + word.replace("\\", "\\\\").replace("'", "'\\''") + "'"


def bash_offers(line, folder, broken=broken):
    words = broken(line)
    script = BASH.format(
        script=FOLDER / FILES["bash"], words=" ".join(map(quoted, words)), last=len(words) - 1, line=quoted(line)
    )
    return answer("bash", ["--norc", "-c", script], folder).splitlines()


def fish_offers(line, folder):
    script = f"set PATH {NOWHERE}; source {FOLDER / FILES['fish']}; complete -C{quoted(line)}"
    return [offer.partition("\t")[0] for offer in answer("fish", ["--no-config", "-c", script], folder).splitlines()]


def zsh_offers(line, folder):
    output = folder.parent / "offers"
    terminal = started("zsh", folder, "listing", ZSH.format(folder=FOLDER, output=output, nowhere=NOWHERE))
    output.write_text("")
    return terminal.type(f"\x15{line}\t", output, "END\n").splitlines()[:-1]


OFFERS = {"bash": bash_offers, "zsh": zsh_offers, "fish": fish_offers}


def answer(shell, arguments, folder):
    """What a shell without any program on its path prints, and nothing on standard error."""
    done = subprocess.run(
        [PROGRAMS[shell], *arguments],
        cwd=folder,
        env={"PATH": NOWHERE, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == done.stderr
    return done.stdout


LOG_IN = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
"""A terminal has to be a shell's own for fish to talk to it."""


class Terminal:
    """An interactive shell on a terminal of its own."""

    def __init__(self, command, folder):
        import pty

        self.ours, theirs = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOG_IN, str(theirs), *command], pass_fds=[theirs], cwd=folder, env=environment
        )
        os.close(theirs)
        os.set_blocking(self.ours, False)

    def type(self, text, output, until):
        """Type text; what stands in a file as soon as that ends as expected."""
        os.write(self.ours, text.encode())
        deadline, shown = time.monotonic() + LONGEST, ""
        while not (output.exists() and output.read_text().endswith(until)):
            shown += self.screen()  # a shell waits for whoever reads what it lists
            assert time.monotonic() < deadline, f"no answer; on the screen: {shown!r}"
            time.sleep(0.01)
        return output.read_text()

    def screen(self):
        """What the shell has written so far and nobody has read."""
        try:
            return os.read(self.ours, 10_000).decode(errors="replace")
        except BlockingIOError:
            return ""

    def close(self):
        """End the shell."""
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


TERMINALS = {}
"""The shells that are running, one for each shell and purpose."""


def started(shell, folder, purpose, setup):
    """A shell that has read its setup, which ends in writing READY to a file; started once."""
    if (shell, purpose) not in TERMINALS:
        TERMINALS[shell, purpose] = Terminal([PROGRAMS[shell], *INTERACTIVE[shell]], folder)
        output = folder.parent / f"{shell} {purpose}"
        TERMINALS[shell, purpose].type(f"{setup}\nprintf READY > {quoted(str(output))}\n", output, "READY")
    return TERMINALS[shell, purpose]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a few files, as the current one of the shells."""
    place = tmp_path_factory.mktemp("completions") / "here"
    place.mkdir()
    for name in ("photo.jpg", "my picture.png", "it's.png", "$HOME.tif", "gauge.txt"):
        (place / name).write_text("")
    (place / "results").mkdir()
    yield place
    while TERMINALS:
        TERMINALS.popitem()[1].close()


def offers(shell, line, folder):
    """What a TAB at the end of a line offers, as the words that would stand there, or their last parts."""
    typed = line.rpartition(" ")[2]
    lead = f"{typed.partition('=')[0]}=" if typed.startswith("--") and "=" in typed else ""
    return {offer.removeprefix(lead).rstrip("/") for offer in OFFERS[shell](line, folder)} - {""}


WRITTEN = {name for name, entry in FORMATS.items() if entry.dtypes}
EXACTLY = [
    ("convcli conv2d a.png --comb", {"--combine"}),
    ("convcli conv2d --combine ", {"stack", "sum", "mean", "magnitude", "max"}),
    ("convcli conv2d --combine=m", {"mean", "magnitude", "max"}),
    ("convcli conv2d -b ref", {"reflect", "reflect101"}),
    ("convcli conv2d --border sym", {"symmetric"}),
    ("convcli conv2d a.png --dtype=uint1", {"uint16"}),
    ("convcli conv2d -t flo", {"float16", "float32", "float64"}),
    ("convcli flops --dtype ", {"fp32", "fp16", "int8"}),
    ("convcli conv2d -p ", {"same", "tf-same", "valid", "full"}),
    ("convcli conv2d --png ", {"fast", "balanced", "small"}),
    ("convcli conv2d --compression ", {"none", "deflate", "lzw", "zstd", "jpeg"}),
    ("convcli conv2d --format ", WRITTEN),
    ("convcli conv2d --kernel lap", {"laplacian"}),
    ("convcli conv2d -k ga", {"gaussian", "gabor", "gauge.txt"}),
    ("convcli kernels ga", {"gaussian", "gabor", "gauge.txt"}),
    ("convcli completion ", {"bash", "zsh", "fish"}),
    ("convcli conv2d --scale ", set()),
    ("convcli conv2d -- --comb", set()),
    ("convcli none --comb", set()),
    ("convcli shapes 3@8x8 tconv", {"tconv4-64/2p1"}),
]


@pytest.mark.parametrize(("line", "expected"), EXACTLY, ids=[line for line, _ in EXACTLY])
def test_a_tab_offers_what_may_stand_there(shell, line, expected, folder):
    assert expected == offers(shell, line, folder)


@pytest.mark.skipif(PROGRAMS["bash"] is None, reason="bash is not installed")
@pytest.mark.parametrize(("typed", "expected"), [("--border=sym", "--border=symmetric"), ("-k sobel:z", "sobel:z")])
def test_words_that_readline_does_not_break_are_completed_whole(typed, expected, folder):
    # as with COMP_WORDBREAKS without = and :
    assert [expected] == bash_offers(f"convcli conv2d {typed}", folder, broken=lambda line: line.split(" "))


def test_all_commands_are_offered(shell, folder):
    assert set(COMMANDS) <= offers(shell, "convcli ", folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_all_long_options_are_offered(shell, command, folder):
    expected = {name for each in declared(command_function(command)) for name in each.names if name.startswith("--")}
    assert expected | {"--help", "--help-all"} == offers(shell, f"convcli {command} --", folder) - {"--"}


def test_all_kernels_and_borders_are_offered(shell, folder):
    assert set(KERNELS) <= offers(shell, "convcli conv2d -k ", folder)
    assert set(BORDERS) - {"constant"} <= offers(shell, "convcli conv2d -b ", folder)


def test_the_words_of_a_kernel_are_offered_behind_its_colon(shell, folder):
    assert {"x", "y", "z"} <= {
        word.removeprefix("sobel:") for word in offers(shell, "convcli conv2d -k sobel:", folder)
    }


# What is put on the line

SETUP = {
    "bash": ". {script}; PS1=; bind 'set bell-style none'; convcli() {{ printf '<%s>' \"$@\" END > {output}; }}",
    "zsh": "fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; PROMPT=; unsetopt beep; "
    "convcli() {{ printf '<%s>' \"$@\" END > {output} }}",
    "fish": "source {script}; function fish_prompt; end; function convcli; printf '<%s>' $argv END > {output}; end",
}
PRESSED = [
    ("conv2d --comb\t sum", "<conv2d><--combine><sum>"),
    ("conv2d -b sym\tx", "<conv2d><-b><symmetric><x>"),
    ("conv2d --border=sym\tx", "<conv2d><--border=symmetric><x>"),
    ("conv2d pho\tx", "<conv2d><photo.jpg><x>"),
    ("conv2d my\tx", "<conv2d><my picture.png><x>"),
    ("conv2d it\tx", "<conv2d><it's.png><x>"),
    ("conv2d -o pho\tx", "<conv2d><-o><photo.jpg><x>"),
    ("conv2d --output=pho\tx", "<conv2d><--output=photo.jpg><x>"),
    ("conv2d -k gauge\tx", "<conv2d><-k><gauge.txt><x>"),
    ("conv2d -o res\tx.png", "<conv2d><-o><results/x.png>"),
    ("conv2d -- pho\tx", "<conv2d><--><photo.jpg><x>"),
]


@pytest.mark.parametrize(("typed", "expected"), PRESSED, ids=[typed for typed, _ in PRESSED])
def test_a_tab_puts_the_only_word_on_the_line(shell, typed, expected, folder):
    output = folder.parent / "arguments"
    setup = SETUP[shell].format(script=FOLDER / FILES[shell], folder=FOLDER, output=output)
    terminal = started(shell, folder, "typing", setup)
    output.unlink(missing_ok=True)
    assert f"{expected}<END>" == terminal.type(f"convcli {typed}\n", output, "<END>")


# How soon


@pytest.mark.skipif(PROGRAMS["bash"] is None, reason="bash is not installed")
def test_bash_answers_within_a_hundredth_of_a_second(folder):
    words = [*broken("convcli conv2d photo.jpg --kernel gaussian:2 --border=wrap -o x.png --combine m")]
    script = f"""
        source {FOLDER / FILES["bash"]}
        COMP_WORDS=({" ".join(map(quoted, words))}) COMP_CWORD={len(words) - 1}
        start=${{EPOCHREALTIME/./}}
        for ((i = 0; i < 100; i++)); do _convcli; done
        echo $((${{EPOCHREALTIME/./}} - start)) "${{COMPREPLY[@]}}"
    """
    microseconds, *found = answer("bash", ["--norc", "-c", script], folder).split()
    assert ["mean", "magnitude", "max"] == found
    assert int(microseconds) / 1e6 / 100 < BUDGET


def test_the_scripts_are_light_to_print():
    program = "import sys; from convcli.cli import run; run(['completion', 'bash']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "rich"} & set(done.stdout.splitlines()[-1].split())
