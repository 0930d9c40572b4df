import io
import sys
from pathlib import Path

import pytest

from processor.runtime.files import STDIN, NotText, Unreadable, bytes_of, decoded, input_of, text_of, unmarked


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("grün\nblau".encode("latin-1"), "no UTF-8 text: byte 0xFC at line 1, byte 3 (offset 2); is it Latin-1?"),
        (b"a = 1\r\nb = '\xe9'\n", "no UTF-8 text: byte 0xE9 at line 2, byte 6 (offset 12)"),
        ("a".encode("utf-16"), "it is UTF-16, it begins with FF FE; save it as UTF-8"),
        (b"\xfe\xff\0a", "it is UTF-16, it begins with FE FF"),
        ("a".encode("utf-32"), "it is UTF-32, it begins with FF FE 00 00"),
        (b"a\0b\0", "no text: byte 0x00 at line 1, byte 2 (offset 1); is it UTF-16, or binary?"),
        (b"\xef\xbb\xbfab\xff", "no UTF-8 text: byte 0xFF at line 1, byte 6 (offset 5)"),
    ],
)
def test_what_is_no_text_is_told_with_its_byte(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotText) as raised:
        text_of(path)
    assert str(raised.value).startswith(f"{path}: {fault}")


def test_a_mark_of_utf8_is_dropped() -> None:
    assert decoded(b"\xef\xbb\xbfgr\xc3\xbcn", "x") == "grün"
    assert unmarked(b"\xef\xbb\xbf\xff", "x") == b"\xff"


@pytest.mark.parametrize(
    ("name", "reason"), [(".", "Is a directory"), ("none", "No such file"), ("a\0b", "null"), ("x" * 300, "too long")]
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=rf"cannot read .*{reason}"):
        bytes_of(tmp_path / name)


def test_stdin_is_read_for_a_dash_and_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one")))
    assert input_of(STDIN) == b"one"
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Unreadable, match="stdin: it is closed"):
        input_of(STDIN)
