/* test_html_text.c - what is left of HTML when the markup is gone. */
#include <stdlib.h>
#include "check.h"
#include "text/html_entities.h"
#include "text/mime.h"

static const struct {
    const char *html, *text;
} rows[] = {
    {"", ""},
    {"plain", "plain"},
    {"  a \r\n\t b  ", "a b"},
    {"<p>one</p><p>two</p>", "one\ntwo"},
    {"a<br>b<BR/>c", "a\nb\nc"},
    {"<b>bo</b>ld", "bold"},
    {"<td>1</td><td>2</td>", "1 2"},
    {"<table><tr><td>1<tr><td>2</table>", "1\n2"},
    {"a<img src=x>b", "a b"},
    {"<html><head><title>no</title><style>p { x: \"<b>\" }</style></head><body>yes</body>", "yes"},
    {"a<script>if (1 < 2) '</p>'</script>b", "ab"},
    {"a<SCRIPT>x</Script >b", "ab"},
    {"a<script>x</scripty>y</script>b", "ab"},
    {"a<script>never ends", "a"},
    {"a<!-- no > no -->b", "ab"},
    {"a<!-->b<!--->c", "abc"},
    {"a<!-- never ends", "a"},
    {"a<!DOCTYPE html>b<?xml?>c<![if x]>d</>e", "abcde"},
    {"<a title=\"x > y\" href='>'>z</a>", "z"},
    {"<a href=it's>z</a>", "z"},
    {"<a title = \"never ends>z", ""},
    {"a <", "a <"},
    {"1 < 2 <3 <-", "1 < 2 <3 <-"},
    {"a<b", "a"},
    {"&lt;b&gt; &amp; &quot;&apos;", "<b> & \"'"},
    {"&auml;&Auml;&euro;&hellip;&hearts;", "\xc3\xa4\xc3\x84\xe2\x82\xac\xe2\x80\xa6\xe2\x99\xa5"},
    {"&AElig;&zwnj;&yuml;", "\xc3\x86\xc3\xbf"},
    {"a&nbsp;&nbsp; b", "a b"},
    {"&#228;&#xE4;&#XE4;&#x1F600;", "\xc3\xa4\xc3\xa4\xc3\xa4\xf0\x9f\x98\x80"},
    {"&#150;&#x80;", "\xe2\x80\x93\xe2\x82\xac"},
    {"&#0;&#xD800;&#99999999999999999999;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"&amp", "&"},
    {"&#65", "A"},
    {"&", "&"},
    {"&; &# &#x; &unheard; R&D", "&; &# &#x; &unheard; R&D"},
    {"pass&shy;word &#x200b;x", "password x"},
    {"gr\xc3\xbc\xc3\x9f\x65 \xff", "gr\xc3\xbc\xc3\x9f\x65 \xff"},
    {"<blockquote>a</blockquote>b", "a\nb"},
};

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        AUTO_STRBUF out = STRBUF_INIT;
        strbuf_add_cstr(&out, "before:");
        html_to_text(span_cstr(rows[i].html), &out);
        check_span(rows[i].html, span_skip(strbuf_span(&out), 7), span_cstr(rows[i].text));
    }
}

/* Cut off anywhere; never longer than three times the input (an entity of three octets gives at most three). */
static void prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        for (size_t n = 0; n < strlen(rows[i].html); n++) {
            AUTO_STRBUF out = STRBUF_INIT;
            char *exact = malloc(n + 1);
            memcpy(exact + 1, rows[i].html, n);
            html_to_text(span_of(exact + 1, n), &out);
            assert_true(out.len <= 3 * n);
            free(exact);
        }
}

/* Each name gives what its number gives: an entry that the search does not find would be one out of order. */
static void every_entity(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(html_entities); i++) {
        AUTO_STRBUF named = STRBUF_INIT, by_name = STRBUF_INIT, numbered = STRBUF_INIT, by_number = STRBUF_INIT;
        strbuf_addf(&named, "x&%s;x", html_entities[i].name);
        strbuf_addf(&numbered, "x&#%u;x", html_entities[i].code);
        html_to_text(strbuf_span(&named), &by_name);
        html_to_text(strbuf_span(&numbered), &by_number);
        check_span(html_entities[i].name, strbuf_span(&by_name), strbuf_span(&by_number));
    }
}

static void large_inputs(void **state)
{
    (void)state;
    static const char *const units[] = {"<",        "</",         "<!--", "<a=\"", "&",   "&#",
                                        "<script>", "<script></", "<p>",  " ",     "&#1", "<!"};
    for (size_t i = 0; i < ROWS(units); i++) {
        AUTO_STRBUF html = STRBUF_INIT, out = STRBUF_INIT;
        for (size_t n = 0; n < 500000; n++)
            strbuf_add_cstr(&html, units[i]);
        html_to_text(strbuf_span(&html), &out);
        assert_true(out.len <= html.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(prefixes),
                                       cmocka_unit_test(every_entity), cmocka_unit_test(large_inputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
