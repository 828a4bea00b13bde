from dashboards.html.document import element, sentence


def test_text_is_escaped_and_elements_are_not() -> None:
    inner = element("b", "<script>")
    assert element("p", "a & b ", inner) == "<p>a &amp; b <b>&lt;script&gt;</b></p>"


def test_attributes_are_escaped_and_absent_ones_left_out() -> None:
    made = element("td", class_="x", data_v='"1"', open=True, hidden=False, title=None)
    assert made == '<td class="x" data-v="&#34;1&#34;" open></td>'


def test_text_added_to_an_element_is_escaped() -> None:
    assert element("p", element("b", "x") + "<i>") == "<p><b>x</b>&lt;i&gt;</p>"


def test_a_per_cent_sign_stays_with_its_number() -> None:
    assert sentence("95 % of 3 %") == "95\N{NO-BREAK SPACE}% of 3\N{NO-BREAK SPACE}%"
