/* The config file. A failure says where; what was taken keeps its promises. */
#include "fuzz.h"
#include "sys/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = NULL;
    struct err err;
    if (config_parse(span_of(data, size), "tassis.conf", "/etc", &c, &err) != ST_OK) {
        CHECK(!c && strstr(err.operator_text, "tassis.conf"));
        return 0;
    }
    CHECK(c->hostname[0] && c->data[0] == '/' && c->user[0]);
    CHECK(c->message_size >= 64 * 1024 && c->message_size <= 1u << 30);
    for (size_t i = 0; i < c->listen_count; i++)
        CHECK((c->listen[i].host != NULL) != (c->listen[i].unix_path != NULL));
    for (size_t i = 0; i < c->certificate_count; i++)
        CHECK(c->certificates[i][0] == '/' && c->keys[i][0] == '/');
    config_free(&c);
    return 0;
}
