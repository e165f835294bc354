/* send_args.c - see send_args.h. */
#include "text/send_args.h"
#include "base/banned.h"

static enum status read_mode(struct send_args *out, const char *value, struct err *err)
{
    switch (value[0]) {
    case 'm':
        out->mode = SEND_MESSAGE;
        return ST_OK;
    case 's':
        out->mode = SEND_SMTP;
        return ST_OK;
    case 'p':
        out->mode = SEND_QUEUE;
        return ST_OK;
    case 'i':
        out->mode = SEND_NOTHING;
        return ST_OK;
    default:
        return err_set(err, ST_UNSUPPORTED, "-b%.8s is not known here; the server is started by 'tassis serve'", value);
    }
}

/* -oi is -i; all else of the original's options in one letter is about things that are not here. */
static enum status read_old_option(struct send_args *out, const char *value, struct err *err)
{
    (void)err;
    if (value[0] == 'i')
        out->is_dot_ordinary = true;
    return ST_OK;
}

static enum status read_notify(struct send_args *out, const char *value, struct err *err)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {{"never", SMTP_NOTIFY_NEVER},
                 {"success", SMTP_NOTIFY_SUCCESS},
                 {"failure", SMTP_NOTIFY_FAILURE},
                 {"delay", SMTP_NOTIFY_DELAY}};
    struct span rest = span_cstr(value), word;
    out->notify = 0;
    for (bool is_more = true; is_more;) {
        unsigned bit = 0;
        is_more = span_cut(&rest, ',', &word);
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (span_ieq(span_trim(word), span_cstr(words[i].word)))
                bit = words[i].bit;
        if (!bit)
            return err_set(err, ST_SYNTAX, "-N takes never, or success, failure and delay, separated by commas");
        out->notify |= bit;
    }
    if ((out->notify & SMTP_NOTIFY_NEVER) && out->notify != SMTP_NOTIFY_NEVER) /* RFC 3461 §4.1 */
        return err_set(err, ST_SYNTAX, "-N never stands alone");
    return ST_OK;
}

static enum status read_ret(struct send_args *out, const char *value, struct err *err)
{
    out->ret = span_ieq(span_cstr(value), SPAN("hdrs"))   ? SMTP_RET_HDRS
               : span_ieq(span_cstr(value), SPAN("full")) ? SMTP_RET_FULL
                                                          : SMTP_RET_NONE;
    return out->ret ? ST_OK : err_set(err, ST_SYNTAX, "-R takes hdrs or full");
}

static enum status read_envid(struct send_args *out, const char *value, struct err *err)
{
    for (const char *p = value; *p; p++)
        if (*p < ' ' || *p > '~') /* RFC 3461 §4.4 */
            return err_set(err, ST_SYNTAX, "-V takes printable ASCII");
    out->envid = value;
    return ST_OK;
}

static enum status read_sender(struct send_args *out, const char *value, struct err *err)
{
    (void)err;
    out->sender = value;
    return ST_OK;
}

static enum status read_full_name(struct send_args *out, const char *value, struct err *err)
{
    (void)err;
    out->full_name = value;
    return ST_OK;
}

static enum status read_config(struct send_args *out, const char *value, struct err *err)
{
    (void)err;
    out->config = value;
    return ST_OK;
}

static enum status read_nothing(struct send_args *out, const char *value, struct err *err)
{
    (void)out;
    (void)value;
    (void)err;
    return ST_OK;
}

static enum status set_from_header(struct send_args *out, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    out->is_from_header = true;
    return ST_OK;
}

static enum status set_dot_ordinary(struct send_args *out, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    out->is_dot_ordinary = true;
    return ST_OK;
}

static enum status set_verbose(struct send_args *out, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    out->is_verbose = true;
    return ST_OK;
}

static enum status set_queue_run(struct send_args *out, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    out->mode = SEND_NOTHING;
    return ST_OK;
}

enum value_kind {
    ALONE,    /* the next letter is an option, too */
    VALUE,    /* the rest of the word, or the next word */
    ATTACHED, /* the rest of the word, which may be empty */
};

/* clang-format off */
static const struct send_option {
    char letter;
    enum value_kind kind;
    enum status (*read)(struct send_args *out, const char *value, struct err *err);
} options[] = {
    {'A', VALUE,    read_nothing},    /* which of the original's config files */
    {'B', VALUE,    read_nothing},    /* the body's type: seen from the body */
    {'C', VALUE,    read_config},
    {'F', VALUE,    read_full_name},
    {'G', ALONE,    read_nothing},
    {'L', VALUE,    read_nothing},
    {'N', VALUE,    read_notify},
    {'O', VALUE,    read_nothing},
    {'R', VALUE,    read_ret},
    {'U', ALONE,    read_nothing},
    {'V', VALUE,    read_envid},
    {'X', VALUE,    read_nothing},
    {'b', VALUE,    read_mode},
    {'c', VALUE,    read_config},
    {'d', ATTACHED, read_nothing},
    {'e', ATTACHED, read_nothing},    /* how errors come back: by exit code and stderr */
    {'f', VALUE,    read_sender},
    {'h', VALUE,    read_nothing},    /* hops: counted from Received */
    {'i', ALONE,    set_dot_ordinary},
    {'m', ALONE,    read_nothing},
    {'n', ALONE,    read_nothing},
    {'o', VALUE,    read_old_option},
    {'p', VALUE,    read_nothing},
    {'q', ATTACHED, set_queue_run},
    {'r', VALUE,    read_sender},
    {'t', ALONE,    set_from_header},
    {'v', ALONE,    set_verbose},
    {'x', ALONE,    read_nothing},
};
/* clang-format on */

static const struct send_option *find(char letter)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

/* One word of options; *at is moved where the value is the next word. */
static enum status read_word(struct send_args *out, int argc, const char *const *argv, int *at, struct err *err)
{
    for (const char *p = argv[*at] + 1; *p; p++) {
        const struct send_option *o = find(*p);
        if (!o)
            return err_set(err, ST_SYNTAX, "unknown option -%c", *p >= ' ' && *p <= '~' ? *p : '?');
        if (o->kind == ALONE) {
            TRY(o->read(out, "", err));
            continue;
        }
        const char *value = p + 1;
        if (o->kind == VALUE && !*value) {
            if (++*at >= argc)
                return err_set(err, ST_SYNTAX, "-%c needs a value", o->letter);
            value = argv[*at];
        }
        return o->read(out, value, err);
    }
    return ST_OK;
}

enum status send_args_parse(int argc, const char *const *argv, struct send_args *out, struct err *err)
{
    int i = 1;
    *out = (struct send_args){0};
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            out->config = argv[++i];
        else
            TRY(read_word(out, argc, argv, &i, err));
    }
    out->recipients = argv + i;
    out->recipient_count = i < argc ? (size_t)(argc - i) : 0;
    return ST_OK;
}
