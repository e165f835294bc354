/* main.c - the one binary: the server, its roles, and the command line. */
#include <stdio.h>
#include <string.h>
#include "roles/cli.h"
#include "roles/cli_send.h"
#include "roles/master.h"
#include "base/banned.h"

static int serve(int argc, char **argv)
{
    if (argc == 4 && (strcmp(argv[2], "-c") == 0 || strcmp(argv[2], "--config") == 0))
        return master_main(argv[3]);
    fprintf(stderr, "tassis: usage: tassis serve -c FILE\n");
    return 1;
}

/* The names that programs have known since sendmail(8). */
static int other_name(const char *name, int argc, char **argv)
{
    static char queue[] = "-bp";
    char *list[] = {argv[0], queue, NULL};
    if (strcmp(name, "sendmail") == 0)
        return send_main(argc, argv);
    if (strcmp(name, "mailq") == 0)
        return send_main(2, list);
    if (strcmp(name, "newaliases") == 0)
        return 0; /* aliases are in the directory, and count at once */
    return -1;
}

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    int code = argc > 0 ? other_name(slash ? slash + 1 : argv[0], argc, argv) : -1;
    if (code >= 0)
        return code;
    const char *word = argc > 1 ? argv[1] : "help";
    if (strcmp(word, "serve") == 0)
        return serve(argc, argv);
    if (strcmp(word, "role") == 0)
        return role_main(argc, argv);
    if (strcmp(word, "send") == 0)
        return send_main(argc - 1, argv + 1);
    if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
        puts("tassis " TASSIS_VERSION);
        return 0;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        cli_help();
        return 0;
    }
    return cli_main(argc, argv);
}
