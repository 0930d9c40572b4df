from processor.cluster.route_reports import route_refusal


def test_only_a_report_about_the_current_revision_counts() -> None:
    codes = [refusal.code if (refusal := route_refusal(2, revision)) else "" for revision in (1, 2, 3)]
    assert codes == ["stale_report", "", "unexpected_report"]
