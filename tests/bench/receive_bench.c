/* Time per receive, in one process and for one kind of receive:
 *
 *      receive_bench SCENARIO THREADS WARMUP [RECEIVES]
 *
 * Measures a round for each line on stdin, and answers with a line: nanoseconds of wall time and of the thread's own
 * CPU time for each receive, medians over the threads, and how many receives all threads have made since the start.
 * With more threads than CPUs only the second means something. So scripts/bench can give several such processes short
 * turns. Where something makes receives slow, a round has RECEIVES of them.
 *
 * Each thread has sockets of its own, and the data is in them before the clock starts: no round waits for anything or
 * anybody. WARMUP receives are made on each CPU beforehand, so that per-CPU memory which a preload fills in turn has
 * been touched, or, with 0, has not. */
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX  64
#define UDP_BATCH    200 /* a datagram of one byte takes 768 of the 208 KiB that a receive buffer has by default */
#define TCP_BATCH    4096
#define ACCEPT_BATCH 200
#define PATIENCE     60 /* s: a datagram that got lost would be waited for for ever */

struct worker {
    const struct scenario *scenario;
    pthread_t thread;
    int sender, receiver;
    int *clients;     /* of a listener: ACCEPT_BATCH of them, 0 where there is none yet */
    double wall, cpu; /* ns a receive, in the last round */
    long made;        /* receives since the start */
};

struct scenario {
    const char *name;
    int batch;   /* receives between two fillings */
    int batches; /* in a round */
    int records; /* that one receive, with what fills it, leaves in a trace */
    void (*open)(struct worker *worker);
    void (*fill)(const struct worker *worker, int count);
    void (*receive)(const struct worker *worker, int count);
};

static pthread_barrier_t barrier;

/* ---- sockets ---- */

static void bind_to_loopback(int fd, struct sockaddr_in6 *address)
{
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (bind(fd, (struct sockaddr *)address, length) != 0 || getsockname(fd, (struct sockaddr *)address, &length) != 0)
        err(1, "bind");
}

static int new_socket(int type)
{
    int fd = socket(AF_INET6, type, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

static void connect_to(int fd, const struct sockaddr_in6 *address)
{
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        err(1, "connect");
}

static void open_tcp(struct worker *worker)
{
    struct sockaddr_in6 address;
    int listener = new_socket(SOCK_STREAM), on = 1;
    bind_to_loopback(listener, &address);
    if (listen(listener, 1) != 0)
        err(1, "listen");
    worker->sender = new_socket(SOCK_STREAM);
    connect_to(worker->sender, &address);
    worker->receiver = accept(listener, NULL, NULL);
    if (worker->receiver < 0)
        err(1, "accept");
    close(listener);
    setsockopt(worker->sender, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* Nagle would keep the next batch back */
}

static void open_udp(struct worker *worker)
{
    struct sockaddr_in6 address;
    worker->receiver = new_socket(SOCK_DGRAM);
    bind_to_loopback(worker->receiver, &address);
    worker->sender = new_socket(SOCK_DGRAM);
    connect_to(worker->sender, &address);
}

static void open_pipe(struct worker *worker)
{
    int ends[2];
    if (pipe(ends) != 0)
        err(1, "pipe");
    worker->receiver = ends[0];
    worker->sender = ends[1];
}

static void open_file(struct worker *worker)
{
    worker->receiver = open("/dev/zero", O_RDONLY);
    if (worker->receiver < 0)
        err(1, "/dev/zero");
}

static void open_listener(struct worker *worker)
{
    struct sockaddr_in6 address;
    worker->receiver = new_socket(SOCK_STREAM);
    bind_to_loopback(worker->receiver, &address);
    if (listen(worker->receiver, ACCEPT_BATCH) != 0)
        err(1, "listen");
    worker->clients = calloc(ACCEPT_BATCH, sizeof *worker->clients);
    if (worker->clients == NULL)
        err(1, "calloc");
}

/* ---- filling them ---- */

static void fill_tcp(const struct worker *worker, int count)
{
    static const char bytes[TCP_BATCH];
    int queued = 0;
    if (send(worker->sender, bytes, (size_t)count, 0) != count)
        err(1, "send");
    do {
        if (ioctl(worker->receiver, FIONREAD, &queued) != 0)
            err(1, "FIONREAD");
    } while (queued < count);
}

static void fill_pipe(const struct worker *worker, int count)
{
    static const char bytes[TCP_BATCH];
    if (write(worker->sender, bytes, (size_t)count) != count)
        err(1, "write");
}

static void fill_udp(const struct worker *worker, int count)
{
    for (int i = 0; i < count; i++)
        if (send(worker->sender, "", 1, 0) != 1)
            err(1, "send");
}

/* Closed by a reset, so that no port has to wait. */
static void replace_client(int *client, const struct sockaddr_in6 *address)
{
    const struct linger at_once = {1, 0};
    if (*client != 0)
        close(*client);
    *client = new_socket(SOCK_STREAM);
    setsockopt(*client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    connect_to(*client, address);
}

static void connect_clients(const struct worker *worker, int count)
{
    struct sockaddr_in6 address;
    socklen_t length = sizeof address;
    if (getsockname(worker->receiver, (struct sockaddr *)&address, &length) != 0)
        err(1, "getsockname");
    for (int i = 0; i < count; i++)
        replace_client(&worker->clients[i], &address);
}

static void connect_and_send(const struct worker *worker, int count)
{
    connect_clients(worker, count);
    for (int i = 0; i < count; i++)
        if (send(worker->clients[i], "", 1, 0) != 1)
            err(1, "send");
}

static void fill_nothing(const struct worker *worker, int count)
{
    (void)worker;
    (void)count;
}

/* ---- what is measured ---- */

static void receive(const struct worker *worker, int count)
{
    char byte;
    for (int i = 0; i < count; i++)
        if (recv(worker->receiver, &byte, 1, 0) != 1)
            err(1, "recv");
}

static void receive_from(const struct worker *worker, int count)
{
    char byte;
    for (int i = 0; i < count; i++) {
        struct sockaddr_in6 address;
        socklen_t length = sizeof address;
        if (recvfrom(worker->receiver, &byte, 1, 0, (struct sockaddr *)&address, &length) != 1)
            err(1, "recvfrom");
    }
}

static void receive_message(const struct worker *worker, int count)
{
    char byte;
    for (int i = 0; i < count; i++) {
        struct sockaddr_in6 address;
        struct iovec buffer = {&byte, 1};
        struct msghdr message = {
            .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &buffer, .msg_iovlen = 1};
        if (recvmsg(worker->receiver, &message, 0) != 1)
            err(1, "recvmsg");
    }
}

static void read_bytes(const struct worker *worker, int count)
{
    char byte;
    for (int i = 0; i < count; i++)
        if (read(worker->receiver, &byte, 1) != 1)
            err(1, "read");
}

static void receive_nothing(const struct worker *worker, int count)
{
    char byte;
    for (int i = 0; i < count; i++)
        if (recv(worker->receiver, &byte, 1, MSG_DONTWAIT) != -1)
            errx(1, "recv found something");
}

static int accept_one(const struct worker *worker)
{
    struct sockaddr_in6 address;
    socklen_t length = sizeof address;
    int fd = accept4(worker->receiver, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
    if (fd < 0)
        err(1, "accept4");
    return fd;
}

static void accept_and_close(const struct worker *worker, int count)
{
    for (int i = 0; i < count; i++)
        close(accept_one(worker));
}

static void serve(const struct worker *worker, int count)
{
    for (int i = 0; i < count; i++) {
        char byte;
        int fd = accept_one(worker);
        if (recv(fd, &byte, 1, 0) != 1)
            err(1, "recv");
        close(fd);
    }
}

static const struct scenario scenarios[] = {
    {"tcp", TCP_BATCH, 1, 1, open_tcp, fill_tcp, receive},
    {"udp6", UDP_BATCH, 20, 1, open_udp, fill_udp, receive_from},
    {"recvmsg", TCP_BATCH, 1, 1, open_tcp, fill_tcp, receive_message},
    {"recvmsg6", UDP_BATCH, 20, 1, open_udp, fill_udp, receive_message},
    {"read", TCP_BATCH, 1, 1, open_tcp, fill_tcp, read_bytes},
    {"pipe", TCP_BATCH, 1, 0, open_pipe, fill_pipe, read_bytes},
    {"file", 8192, 1, 0, open_file, fill_nothing, read_bytes},
    {"eagain", 8192, 1, 1, open_tcp, fill_nothing, receive_nothing},
    {"accept", ACCEPT_BATCH, 5, 4, open_listener, connect_clients, accept_and_close},
    {"serve", ACCEPT_BATCH, 5, 5, open_listener, connect_and_send, serve},
    /* Under null_recv.so only: nobody fills these. */
    {"null", 32768, 1, 1, open_tcp, fill_nothing, receive},
    {"nullmsg", 32768, 1, 1, open_tcp, fill_nothing, receive_message},
    {"null6", 32768, 1, 1, open_udp, fill_nothing, receive_from},
};

/* ---- the measurement ---- */

static void receive_batch(struct worker *worker)
{
    worker->scenario->receive(worker, worker->scenario->batch);
    worker->made += worker->scenario->batch;
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void measure_round(struct worker *worker)
{
    const struct scenario *scenario = worker->scenario;
    double wall = 0, cpu = 0;
    for (int i = 0; i < scenario->batches; i++) {
        scenario->fill(worker, scenario->batch);
        double wall_start = now(CLOCK_MONOTONIC), cpu_start = now(CLOCK_THREAD_CPUTIME_ID);
        receive_batch(worker);
        cpu += now(CLOCK_THREAD_CPUTIME_ID) - cpu_start;
        wall += now(CLOCK_MONOTONIC) - wall_start;
    }
    int receives = scenario->batch * scenario->batches;
    worker->wall = wall / receives;
    worker->cpu = cpu / receives;
}

/* Two barriers a round: the threads start it together, and their results stand still while main reads them. */
static void *work(void *argument)
{
    struct worker *worker = argument;
    for (;;) {
        pthread_barrier_wait(&barrier);
        measure_round(worker);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void warm_up(struct worker *worker, long receives)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        err(1, "sched_getaffinity");
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0)
            err(1, "sched_setaffinity");
        const int records = worker->scenario->records > 0 ? worker->scenario->records : 1;
        for (long done = 0; done < receives; done += (long)worker->scenario->batch * records) {
            worker->scenario->fill(worker, worker->scenario->batch);
            receive_batch(worker);
        }
    }
    if (sched_setaffinity(0, sizeof allowed, &allowed) != 0)
        err(1, "sched_setaffinity");
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static const struct scenario *find_scenario(const char *name)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return &scenarios[i];
    errx(2, "no scenario is called %s", name);
}

/* The same, with rounds of so many receives. */
static struct scenario of_receives(struct scenario scenario, long receives)
{
    if (receives < 1 || receives > (long)scenario.batch * scenario.batches)
        errx(2, "give 1 to %d receives a round", scenario.batch * scenario.batches);
    scenario.batch = receives < scenario.batch ? (int)receives : scenario.batch;
    scenario.batches = (int)(receives / scenario.batch);
    return scenario;
}

int main(int count, char **arguments)
{
    if (count != 4 && count != 5)
        errx(2, "usage: receive_bench SCENARIO THREADS WARMUP [RECEIVES]");
    struct scenario scenario = *find_scenario(arguments[1]);
    if (count == 5)
        scenario = of_receives(scenario, strtol(arguments[4], NULL, 10));
    long threads = strtol(arguments[2], NULL, 10);
    if (threads < 1 || threads > THREADS_MAX)
        errx(2, "give 1 to %d threads", THREADS_MAX);

    struct worker workers[THREADS_MAX];
    for (long i = 0; i < threads; i++) {
        workers[i] = (struct worker){.scenario = &scenario};
        scenario.open(&workers[i]);
    }
    alarm(PATIENCE);
    warm_up(&workers[0], strtol(arguments[3], NULL, 10));
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            errx(1, "cannot make a thread");

    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        alarm(PATIENCE);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        double wall[THREADS_MAX], cpu[THREADS_MAX];
        long made = 0;
        for (long i = 0; i < threads; i++) {
            wall[i] = workers[i].wall;
            cpu[i] = workers[i].cpu;
            made += workers[i].made;
        }
        printf("%.2f %.2f %ld\n", median(wall, (size_t)threads), median(cpu, (size_t)threads), made);
        fflush(stdout);
        alarm(0);
    }
    return 0;
}
