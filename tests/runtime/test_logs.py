import io
import json
import logging

from processor.runtime.logs import Rarely, log_function, set_up


def test_json_is_one_object_a_line() -> None:
    stream = io.StringIO()
    set_up("json", "info", stream)
    log_function()("shard_taken_over", shard=0, epoch=7)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["shard"], line["epoch"], line["level"]) == ("shard_taken_over", 0, 7, "info")


def test_the_console_form_is_plain_text_where_no_terminal_is() -> None:
    stream = io.StringIO()
    set_up("console", "info", stream)
    log_function()("paused", reason="etcd is away")
    assert "paused" in stream.getvalue()
    assert "reason='etcd is away'" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_libraries_are_quiet_below_errors_and_speak_in_our_form() -> None:
    stream = io.StringIO()
    set_up("json", "info", stream)
    logging.getLogger("grpc").warning("reconnecting")
    logging.getLogger("elsewhere").debug("details")
    assert stream.getvalue() == ""
    logging.getLogger("processor.kafka").error("broker gone")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["logger"], line["level"]) == ("broker gone", "processor.kafka", "error")


def test_a_library_that_says_the_same_again_and_again_is_told_once_a_minute() -> None:
    now_s = [0.0]
    rarely = Rarely(lambda: now_s[0])
    told = []
    for second, kind in (
        (0, "FAIL"),
        (1, "FAIL"),
        (2, "AUTH"),
        (59, "FAIL"),
        (61, "FAIL"),
        (62, "FAIL"),
        (122, "FAIL"),
    ):
        now_s[0] = second
        record = logging.LogRecord("kafka", logging.ERROR, "", 0, "%s [client-%d]", (kind, second), None)
        if rarely.filter(record):
            told.append(record.getMessage())
    assert told == [
        "FAIL [client-0]",
        "AUTH [client-2]",
        "FAIL [client-61] (and 2 more like it since the last one told)",
        "FAIL [client-122] (and 1 more like it since the last one told)",
    ]


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    set_up("json", "warning", stream)
    log_function()("resumed")
    assert stream.getvalue() == ""
