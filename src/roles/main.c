/* main.c - the one binary: the server, its roles, and the command line. */
#include <stdio.h>
#include <string.h>
#include "roles/cli.h"
#include "roles/master.h"
#include "base/banned.h"

static int serve(int argc, char **argv)
{
    if (argc == 4 && (strcmp(argv[2], "-c") == 0 || strcmp(argv[2], "--config") == 0))
        return master_main(argv[3]);
    fprintf(stderr, "tassis: usage: tassis serve -c FILE\n");
    return 1;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "help";
    if (strcmp(word, "serve") == 0)
        return serve(argc, argv);
    if (strcmp(word, "role") == 0)
        return role_main(argc, argv);
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
