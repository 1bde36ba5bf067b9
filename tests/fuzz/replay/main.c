/* main.c - runs a fuzz target without libFuzzer: over every file of a folder, then for some seconds
 * over files of it that were changed at random. No coverage guides it; it is there so that the
 * corpus is a regression test with any compiler.
 *
 *   TARGET FOLDER SECONDS SEED ARTEFACT      the input being run is in the file ARTEFACT */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SIZE = 65536, SECONDS_PER_INPUT = 10 };

typedef struct Input {
    size_t n;
    uint8_t data[MAX_SIZE];
} Input;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;
static const char *artefact;

/* splitmix64 */
static uint64_t random_below(uint64_t n)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

static int is_file(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void read_input(const char *folder, const char *name, Input *in)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    in->n = f != NULL ? fread(in->data, 1, MAX_SIZE, f) : 0;
    if (f != NULL) {
        fclose(f);
    }
}

/* Written before it runs: a crash leaves it there. */
static void run(const Input *in)
{
    FILE *f = fopen(artefact, "wb");
    if (f == NULL || fwrite(in->data, 1, in->n, f) != in->n || fclose(f) != 0) {
        perror(artefact);
        exit(2);
    }
    alarm(SECONDS_PER_INPUT);
    LLVMFuzzerTestOneInput(in->data, in->n);
    alarm(0);
}

static void remove_bytes(Input *in)
{
    size_t at = random_below(in->n), n = 1 + random_below(16);
    n = n < in->n - at ? n : in->n - at;
    memmove(in->data + at, in->data + at + n, in->n - at - n);
    in->n -= n;
}

/* Bytes of `from` at a random place. */
static void splice(Input *in, const Input *from)
{
    size_t start = random_below(from->n), n = 1 + random_below(64), at = random_below(in->n + 1);
    n = n < from->n - start ? n : from->n - start;
    n = n < MAX_SIZE - in->n ? n : MAX_SIZE - in->n;
    memmove(in->data + at + n, in->data + at, in->n - at);
    memcpy(in->data + at, from->data + start, n);
    in->n += n;
}

static void mutate(Input *in, const Input *other)
{
    for (uint64_t i = 0, n = 1 + random_below(4); i < n; i++) {
        uint64_t kind = in->n > 0 ? random_below(4) : 3;
        if (kind == 0) {
            in->data[random_below(in->n)] ^= (uint8_t)(1u << random_below(8));
        } else if (kind == 1) {
            in->data[random_below(in->n)] = (uint8_t)random_below(256);
        } else if (kind == 2) {
            remove_bytes(in);
        } else if (other->n > 0) {
            splice(in, other);
        }
    }
}

int main(int argc, char **argv)
{
    static Input in, other;
    struct dirent **file = NULL;
    if (argc != 5) {
        fprintf(stderr, "usage: %s FOLDER SECONDS SEED ARTEFACT\n", argv[0]);
        return 2;
    }
    int n = scandir(argv[1], &file, is_file, alphasort);
    artefact = argv[4];
    state = strtoull(argv[3], NULL, 10);
    for (int i = 0; i < n; i++) {
        read_input(argv[1], file[i]->d_name, &in);
        run(&in);
    }
    long long runs = 0;
    time_t end = time(NULL) + atoi(argv[2]);
    for (; n > 0 && time(NULL) < end; runs++) {
        read_input(argv[1], file[random_below((uint64_t)n)]->d_name, &in);
        read_input(argv[1], file[random_below((uint64_t)n)]->d_name, &other);
        mutate(&in, &other);
        run(&in);
    }
    unlink(artefact);
    printf("%d files, %lld random inputs\n", n, runs);
    for (int i = 0; i < n; i++) {
        free(file[i]);
    }
    free(file);
    return n > 0 ? 0 : 2;
}
