from dashboards.html.markup import Html, element, join, sentence


def test_text_is_escaped_and_elements_are_not() -> None:
    inner = element("b", "<script>")
    assert element("p", "a & b ", inner) == "<p>a &amp; b <b>&lt;script&gt;</b></p>"


def test_attributes_are_escaped_and_absent_ones_left_out() -> None:
    made = element("td", class_="x", data_v='"1"', open=True, hidden=False, title=None)
    assert made == '<td class="x" data-v="&quot;1&quot;" open></td>'


def test_joining_keeps_what_is_html_and_escapes_what_is_not() -> None:
    assert join([Html("<i>"), "<i>"]) == "<i>&lt;i&gt;"


def test_text_added_to_an_element_is_text_again() -> None:
    assert element("p", element("b", "x") + "<i>") == "<p>&lt;b&gt;x&lt;/b&gt;&lt;i&gt;</p>"


def test_a_per_cent_sign_stays_with_its_number() -> None:
    assert sentence("95 % of 3 %") == "95\N{NO-BREAK SPACE}% of 3\N{NO-BREAK SPACE}%"
