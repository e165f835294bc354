/* ip_set.c - see ip_set.h. */
#include "text/ip_set.h"
#include <arpa/inet.h>
#include "base/banned.h"

bool ip_parse(struct span text, struct ip_address *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char z[IP_TEXT_MAX];
    *out = (struct ip_address){0};
    if (text.len == 0 || text.len >= sizeof z || span_find_byte(text, '\0', 0) != SPAN_NPOS)
        return false;
    memcpy(z, text.p, text.len);
    z[text.len] = '\0';
    if (inet_pton(AF_INET, z, out->bytes) == 1) {
        out->family = IP_V4;
    } else if (inet_pton(AF_INET6, z, out->bytes) == 1) {
        out->family = IP_V6;
        if (memcmp(out->bytes, mapped, sizeof mapped) == 0) {
            out->family = IP_V4;
            memmove(out->bytes, out->bytes + 12, 4);
            memset(out->bytes + 4, 0, 12);
        }
    }
    return out->family != IP_NONE;
}

void ip_write(const struct ip_address *a, char out[IP_TEXT_MAX])
{
    out[0] = '\0';
    if (a->family != IP_NONE)
        inet_ntop(a->family == IP_V4 ? AF_INET : AF_INET6, a->bytes, out, IP_TEXT_MAX);
}

static bool net_parse(struct span word, struct ip_net *out)
{
    struct span address, rest = word;
    uint64_t prefix = 0;
    bool has_prefix = span_cut(&rest, '/', &address);
    if (address.len > 2 && address.p[0] == '[' && address.p[address.len - 1] == ']')
        address = span_slice(address, 1, address.len - 1);
    if (!ip_parse(address, &out->address))
        return false;
    uint64_t bits = out->address.family == IP_V4 ? 32 : 128;
    if (has_prefix && !span_to_u64(rest, bits, &prefix))
        return false;
    out->prefix = (uint8_t)(has_prefix ? prefix : bits);
    return true;
}

enum status ip_set_add(struct arena *a, struct ip_set *set, struct span word, struct err *err)
{
    struct ip_net net;
    if (!net_parse(word, &net))
        return err_set(err, ST_SYNTAX, "'%.*s' is no IP address or network (192.0.2.0/24, 2001:db8::/32)",
                       SPAN_ARG(word));
    if (set->count == IP_SET_MAX)
        return err_set(err, ST_LIMIT, "more than %d addresses", IP_SET_MAX);
    if ((set->count & (set->count - 1)) == 0) { /* grows at powers of two */
        struct ip_net *grown = arena_array(a, set->count ? 2 * set->count : 1, sizeof *grown);
        if (set->count)
            memcpy(grown, set->nets, set->count * sizeof *grown);
        set->nets = grown;
    }
    set->nets[set->count++] = net;
    return ST_OK;
}

static bool is_in(const struct ip_net *net, const struct ip_address *a)
{
    size_t whole = net->prefix / 8, rest = net->prefix % 8;
    if (net->address.family != a->family || memcmp(net->address.bytes, a->bytes, whole) != 0)
        return false;
    return rest == 0 || ((net->address.bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}

bool ip_set_has(const struct ip_set *set, const struct ip_address *address)
{
    for (size_t i = 0; i < set->count; i++)
        if (is_in(&set->nets[i], address))
            return true;
    return false;
}

bool ip_set_has_text(const struct ip_set *set, struct span text)
{
    struct ip_address a;
    return set->count && ip_parse(text, &a) && ip_set_has(set, &a);
}
