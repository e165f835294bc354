/* proxy_header.c - see proxy_header.h. Section numbers are those of the protocol's text. */
#include "text/proxy_header.h"
#include "base/banned.h"

static const char signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

static bool port_parse(struct span text, uint16_t *out)
{
    uint64_t n;
    bool has_zeros = text.len > 1 && text.p[0] == '0'; /* §2.1: no leading zeroes */
    if (has_zeros || !span_to_u64(text, UINT16_MAX, &n))
        return false;
    *out = (uint16_t)n;
    return true;
}

/* §2.1: "PROXY TCP4 192.0.2.1 192.0.2.9 56324 25". */
static bool v1_line(struct span line, struct proxy_header *out)
{
    struct span words[6] = {0};
    struct ip_address local;
    size_t n = 0;
    while (n < 6 && span_cut(&line, ' ', &words[n]))
        n++;
    if (n < 6)
        n++;
    if (n >= 2 && span_eq(words[1], SPAN("UNKNOWN"))) /* what follows is to be skipped */
        return true;
    enum ip_family family = span_eq(words[1], SPAN("TCP4")) ? IP_V4 : span_eq(words[1], SPAN("TCP6")) ? IP_V6 : IP_NONE;
    bool has_colon = span_find_byte(words[2], ':', 0) != SPAN_NPOS;
    return n == 6 && line.len == 0 && family != IP_NONE && ip_parse(words[2], &out->client) &&
           has_colon == (family == IP_V6) && ip_parse(words[3], &local) && port_parse(words[4], &out->client_port) &&
           port_parse(words[5], &out->local_port);
}

static enum proxy_result v1(struct span in, struct proxy_header *out, size_t *used)
{
    struct span start = SPAN("PROXY ");
    if (!span_starts(in, span_take(start, in.len)))
        return PROXY_BAD;
    size_t end = span_find(span_take(in, PROXY_V1_MAX), SPAN("\r\n"), 0);
    if (end == SPAN_NPOS)
        return in.len < PROXY_V1_MAX ? PROXY_MORE : PROXY_BAD;
    *used = end + 2;
    return v1_line(span_take(in, end), out) ? PROXY_OK : PROXY_BAD;
}

static uint16_t u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static bool v2_addresses(struct span rest, unsigned char family, struct proxy_header *out)
{
    size_t size = family == 0x11 ? 4 : family == 0x21 ? 16 : 0; /* §2.2: TCP over IPv4, over IPv6 */
    if (size == 0)
        return true; /* UNSPEC, UDP, Unix: nothing that we can use */
    if (rest.len < 2 * size + 4)
        return false;
    char text[IP_TEXT_MAX];
    struct ip_address raw = {.family = size == 4 ? IP_V4 : IP_V6};
    memcpy(raw.bytes, rest.p, size);
    ip_write(&raw, text);
    out->client_port = u16(rest.p + 2 * size);
    out->local_port = u16(rest.p + 2 * size + 2);
    return ip_parse(span_cstr(text), &out->client); /* so that mapped addresses are IPv4 here, too */
}

static enum proxy_result v2(struct span in, struct proxy_header *out, size_t *used)
{
    if (in.len < PROXY_V2_FIXED)
        return PROXY_MORE;
    unsigned char version_command = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
    size_t size = PROXY_V2_FIXED + (size_t)u16(in.p + 14);
    if (version_command >> 4 != 2 || (version_command & 15) > 1 || size > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (in.len < size)
        return PROXY_MORE;
    *used = size;
    bool is_local = (version_command & 15) == 0;
    return is_local || v2_addresses(span_slice(in, PROXY_V2_FIXED, size), family, out) ? PROXY_OK : PROXY_BAD;
}

enum proxy_result proxy_header_parse(struct span in, struct proxy_header *out, size_t *used)
{
    *out = (struct proxy_header){0};
    struct span mark = span_of(signature, sizeof signature);
    if (in.len == 0)
        return PROXY_MORE;
    return span_starts(in, span_take(mark, in.len)) ? v2(in, out, used) : v1(in, out, used);
}
