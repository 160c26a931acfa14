"""One table, several ways to print it; none of them loses data."""

import csv
import io
import sys

import pytest

from convcli.errors import UsageError
from convcli.tables import Table, chosen_style, fitting, rich_table, show

TABLE = Table(
    ["layer", "MACs", "share %"],
    [["[red]conv3-64[/red] | id", 86_704_128, 75.5], ["a\nb,c", None, 0.25]],
    title="A net",
    notes=["MAC = one multiply-add"],
    footer=["total", 86_704_128, None],
)


def test_piped_text_holds_every_cell_in_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show(TABLE)
    expected = (
        "A net\n"
        "layer                           MACs  share %\n"
        "------------------------  ----------  -------\n"
        "[red]conv3-64[/red] | id  86,704,128     75.5\n"
        "a\\nb,c                                   0.25\n"
        "------------------------  ----------  -------\n"
        "total                     86,704,128\n"
        "MAC = one multiply-add\n"
    )
    assert expected == capsys.readouterr().out


def test_piped_text_is_never_cut_however_wide(capsys: pytest.CaptureFixture[str]) -> None:
    show(Table(["x"] * 40, [["value" * 20] * 40]))
    assert 40 == capsys.readouterr().out.count("value" * 20)


def test_csv_reads_back_as_the_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    show(TABLE, "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [["layer", "MACs", "share %"], [TABLE.rows[0][0], "86704128", "75.5"], ["a\\nb,c", "", "0.25"]] == rows[:3]


def test_markdown_escapes_bars_and_aligns_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    show(TABLE, "markdown")
    lines = capsys.readouterr().out.splitlines()
    assert ["| --- | ---: | ---: |", "| [red]conv3-64[/red] \\| id | 86,704,128 | 75.5 |"] == lines[3:5]
    assert "MAC = one multiply-add" == lines[-1]


def drawn(table: Table, width: int) -> str:
    """What rich draws on a terminal of some width."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    console.print(rich_table(fitting(table, width)))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_drawn_table_shows_text_as_it_is_and_folds_words_instead_of_cutting() -> None:
    for width in (200, 46):
        text = drawn(TABLE, width)
        assert "…" not in text
        assert ("[red]conv3-64[/red] | id" in text) == (width == 200)
        assert "86,704,128" in text


def test_numbers_without_room_are_left_out_whole_and_named() -> None:
    narrow = fitting(TABLE, 32)
    assert ["layer", "MACs"] == narrow.columns
    assert ["total", 86_704_128] == narrow.footer
    assert "no room for share %: widen the terminal, or pipe into less -S" == narrow.notes[-1]
    assert TABLE is fitting(TABLE, 200)


def test_what_the_encoding_cannot_hold_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    show(Table(["name"], [["naïve \udcff"]]))
    sys.stdout.flush()
    assert b"na\\xefve \\udcff\n" == raw.getvalue().splitlines(keepends=True)[-1]


def test_two_styles_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        chosen_style(csv=True, markdown=True)
