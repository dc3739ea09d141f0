"""Tables as they are read: tab-separated and CSV files, and two texts in one cell."""

import csv
import gzip
import io
from pathlib import Path

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from focus_plugin.errors import FocusError
from focus_plugin.finetuning.tables import TwoTextColumns, read_table, read_texts

CELL = st.text(st.sampled_from("a\"',;\t\n é\u2028"), max_size=6)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]))
def test_a_csv_file_is_read_as_pandas_reads_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], newline: str
) -> None:
    content = io.StringIO()
    csv.writer(content, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("one", "other"), *rows])
    table = tmp_path_factory.getbasetemp() / "t.csv"
    table.write_bytes(content.getvalue().replace("\n", newline).encode("utf-8-sig"))
    want = pandas.read_csv(io.StringIO(content.getvalue()), dtype=str, keep_default_na=False)
    found = list(read_table(table, ("other", "one")))
    assert [cells for _, cells in found] == want[["other", "one"]].to_numpy().tolist()
    lines = content.getvalue().split("\n")
    assert all(lines[number - 1].startswith('"') for number, _ in found), "a row is told by its first line"


def test_cells_of_csv_can_have_no_quotation_marks(tmp_path: Path) -> None:
    """Blank lines are no rows, and a quotation mark within a cell without them is a character."""
    with gzip.open(tmp_path / "T.CSV.gz", "wt") as file:
        file.write('a,b\n\n1,6" long\n\n"x\ny",""\n2,3')
    assert list(read_table(tmp_path / "T.CSV.gz", ("b",))) == [(3, ['6" long']), (5, [""]), (7, ["3"])]
    (tmp_path / "t.tsv").write_text('a\tb\n"1\t2"\n')
    assert list(read_table(tmp_path / "t.tsv", ("a", "b"))) == [(2, ['"1', '2"'])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('a,b\n1,2\n"3,4\n5,6\n', r"line 3: the row that begins here is not valid CSV \(unexpected end of data\)"),
        ("a,b\n1,x\ry\n", r"line 2: .* \(new-line character seen in unquoted field\); check its quotation marks"),
        ('a,b\n1,"2"x\n', r"line 2: the row that begins here is not valid CSV .*; check its quotation marks"),
        ('a,b\n"1\n2",3,4\n', r"line 2: 3 columns, but the header has 2"),
        ("a;b\n1;2\n", r"line 1: the header has no column 'a'; it must have the comma-separated columns"),
        ("\n1,2\n", r"line 1: is empty; a table begins with a header"),
        ("a,b,a\n1,2,3\n", r"line 1: the header has the column 'a' twice"),
        ("a,b\n\n", r"the table has a header but no rows"),
    ],
)
def test_wrong_csv_files(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(FocusError, match=rf"t\.csv.*{message}"):
        list(read_table(tmp_path / "t.csv", ("a",)))


def test_a_cell_has_two_texts(tmp_path: Path) -> None:
    """On two lines, with any line ends; blank lines do not count."""
    columns = TwoTextColumns(pair_column="Text")
    (tmp_path / "t.csv").write_bytes(b'ID,Text\r\n1,"ba, ""be""\r\n bi"\r\n2,"bo\n\nbu\n"\r\n')
    found = list(read_texts(tmp_path / "t.csv", columns, (), ("ID",)))
    assert found == [(2, ('ba, "be"', " bi"), ["1"]), (4, ("bo", "bu"), ["2"])]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("ba", "has 1 line of text, but a pair has two"),
        ("ba\n \u3000", "has 1 line of text, but a pair has two"),
        ("ba\nbe\nbi", "has 3 lines of text, but a pair has two"),
        ("ba\u2028be", "has 1 line of text, but a pair has two"),
        ("\n", "is empty"),
    ],
)
def test_cells_without_two_texts(tmp_path: Path, cell: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(f'Text\n"ba\nbe"\n"{cell}"\n')
    with pytest.raises(FocusError, match=rf"t\.csv, line 4: the column 'Text' {message}"):
        list(read_texts(tmp_path / "t.csv", TwoTextColumns(pair_column="Text"), (), ()))


@pytest.mark.parametrize(("name", "content"), [("t.tsv", b"label\ttext\ra\tb\r"), ("t.csv", b"label,text\ra,b\r")])
def test_lines_that_end_as_on_old_macs(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FocusError, match=rf"{name}: its lines end with carriage returns alone"):
        list(read_table(tmp_path / name, ("label", "text")))
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.replace(b"\r", b"\r\n"))
    assert list(read_table(tmp_path / name, ("label", "text"))) == [(2, ["a", "b"])]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_utf_16_without_a_byte_order_mark(tmp_path: Path, encoding: str, end: str) -> None:
    """All its bytes are valid UTF-8."""
    (tmp_path / "t.tsv").write_bytes(f"label\ttext{end}a\tba{end}".encode(encoding))
    with pytest.raises(FocusError, match=r"t\.tsv, line 1: has NUL characters, as text in UTF-16 has"):
        list(read_table(tmp_path / "t.tsv", ("label", "text")))


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
@pytest.mark.parametrize("content", ["", "\n", "\n\n\n"])
def test_an_empty_table(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(FocusError, match=rf"{name}, line 1: is empty; a table begins with a header\."):
        list(read_table(tmp_path / name, ("label", "text")))
