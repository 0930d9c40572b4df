import io
import json
import logging

from processor.logs import log_function, set_up


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


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    set_up("json", "warning", stream)
    log_function()("resumed")
    assert stream.getvalue() == ""
