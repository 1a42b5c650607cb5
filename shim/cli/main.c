/* recvshim: runs programs under the library, and reads what it recorded. */
#include "command.h"
#include "message.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *argp_program_version = "recvshim " RECVSHIM_RELEASE;

static const struct command {
    const char *name;
    char *full_name; /* what its messages and its usage begin with */
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", "recvshim run", command_run, "run a program under the shim and print its events as they happen"},
    {"show", "recvshim show", command_show, "print a trace; --follow goes on as it grows"},
    {"stats", "recvshim stats", command_stats, "print what a trace adds up to, by connection, process and peer"},
    {"control", "recvshim control", command_control, "switch tracing or faults in running programs"},
    {"check", "recvshim check", command_check, "say whether a program can be traced, and what would be missed"},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static int flush(FILE *file)
{
    if (fflush(file) == 0)
        return STATUS_DONE;
    message("%s: cannot be written: %s", file == stdout ? "stdout" : "stderr", strerror(errno));
    return STATUS_FAILED;
}

static int print_help(FILE *file)
{
    fputs("Usage: recvshim COMMAND [OPTIONS] ...\n"
          "Retries, normalises and traces the receives of unmodified programs.\n\n",
          file);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`recvshim COMMAND --help' lists a command's options; `recvshim --version' tells the version.\n", file);
    return flush(file);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int dispatch(const struct command *command, int argc, char **argv)
{
    argv[0] = command->full_name;
    return command->run(argc, argv);
}

/* A file opened where stdin, stdout or stderr is closed would get its number, and what is meant for a person would go
 * into a trace. O_PATH keeps the number and behaves as closed; the program that is run finds it closed as well. */
static void occupy_closed_descriptors(void)
{
    int fd;
    do {
        fd = open("/", O_PATH | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void on_file_size(int signal)
{
    (void)signal;
}

/* Past RLIMIT_FSIZE a write then fails, and that is told as of a full disk; SIGXFSZ by default would end `run' without
 * the program's status. A handler, because that, unlike SIG_IGN, is none any more in the program that is run. */
static void outlive_file_size(void)
{
    struct sigaction now;
    if (sigaction(SIGXFSZ, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = on_file_size, .sa_flags = SA_RESTART}, NULL);
}

int main(int argc, char **argv)
{
    occupy_closed_descriptors();
    outlive_file_size();
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-?") == 0 || (strcmp(name, "help") == 0 && argc == 2))
        return print_help(stdout);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts(argp_program_version);
        return flush(stdout);
    }
    bool help = strcmp(name, "help") == 0;
    const struct command *command = find(help ? argv[2] : name);
    if (command == NULL) {
        message("%s: no such command; `recvshim help' lists them", message_name(help ? argv[2] : name));
        return STATUS_USAGE;
    }
    if (help)
        return dispatch(command, 2, (char *[]){NULL, "--help", NULL});
    return dispatch(command, argc - 1, argv + 1);
}
