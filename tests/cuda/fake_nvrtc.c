/* fake_nvrtc.c - a compiler library that compiles nothing: the machine code is the text itself,
 * which fake_cuda.c looks through for the kernels that are asked of it. So the paths of
 * runtime/jit.c are met on any machine.
 *
 *   FAKE_NVRTC           the function that fails
 *   FAKE_NVRTC_VERSION   "13.0"
 *   FAKE_NVRTC_COUNT     a file that gets a byte for every program compiled
 *   FAKE_NVRTC_DISLIKES  a word that does not compile
 *   FAKE_NVRTC_OLD       a chip that it does not know
 *   FAKE_NVRTC_BYTES     size of the machine code at least */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Program {
    char *text, *name, log[512];
} Program;

static int fails(const char *function, int error)
{
    const char *wanted = getenv("FAKE_NVRTC");
    return wanted && strcmp(wanted, function) == 0 ? error : 0;
}

int nvrtcVersion(int *major, int *minor)
{
    const char *version = getenv("FAKE_NVRTC_VERSION");
    sscanf(version ? version : "13.0", "%d.%d", major, minor);
    return fails("nvrtcVersion", 1);
}

int nvrtcCreateProgram(Program **out, const char *text, const char *name, int n,
                       const char *const *headers, const char *const *names)
{
    (void)n, (void)headers, (void)names;
    Program *p = calloc(1, sizeof *p);
    p->text = strdup(text);
    p->name = strdup(name);
    *out = p;
    return fails("nvrtcCreateProgram", 1);
}

/* The line on which `at` stands, as #line counts. */
static int line_at(const char *text, const char *at)
{
    int line = 1;
    for (const char *s = text; s < at; s++) {
        if (s[0] != '\n')
            continue;
        int given = 0;
        line = sscanf(s + 1, "#line %d", &given) == 1 ? given - 1 : line + 1;
    }
    return line;
}

int nvrtcCompileProgram(Program *p, int n, const char *const *options)
{
    const char *count = getenv("FAKE_NVRTC_COUNT"), *word = getenv("FAKE_NVRTC_DISLIKES");
    const char *old = getenv("FAKE_NVRTC_OLD"), *at = word ? strstr(p->text, word) : NULL;
    int fd = count ? open(count, O_WRONLY | O_APPEND | O_CREAT, 0666) : -1;
    if (fd >= 0 && write(fd, "x", 1) == 1)
        close(fd);
    for (int i = 0; i < n; i++)
        if (old && strstr(options[i], old))
            return 5;
    if (at)
        snprintf(p->log, sizeof p->log,
                 "%s(3): warning #1: of no importance\n%s(%d): error: nobody likes %s\n", p->name,
                 p->name, line_at(p->text, at), word);
    return at ? 6 : fails("nvrtcCompileProgram", 11);
}

int nvrtcGetProgramLogSize(Program *p, size_t *n)
{
    *n = strlen(p->log) + 1;
    return fails("nvrtcGetProgramLogSize", 1);
}

int nvrtcGetProgramLog(Program *p, char *log)
{
    strcpy(log, p->log);
    return fails("nvrtcGetProgramLog", 1);
}

static const char mark[] = "FAKE CUBIN\n";

int nvrtcGetCUBINSize(Program *p, size_t *n)
{
    const char *bytes = getenv("FAKE_NVRTC_BYTES");
    size_t least = bytes ? (size_t)atol(bytes) : 0;
    *n = sizeof mark + strlen(p->text);
    *n = *n < least ? least : *n;
    return fails("nvrtcGetCUBINSize", 1);
}

int nvrtcGetCUBIN(Program *p, char *cubin)
{
    size_t n = 0;
    nvrtcGetCUBINSize(p, &n);
    memset(cubin, 0, n);
    strcpy(cubin, mark);
    strcat(cubin, p->text);
    return fails("nvrtcGetCUBIN", 1);
}

int nvrtcGetPTXSize(Program *p, size_t *n)
{
    return nvrtcGetCUBINSize(p, n);
}

int nvrtcGetPTX(Program *p, char *ptx)
{
    return nvrtcGetCUBIN(p, ptx);
}

int nvrtcDestroyProgram(Program **p)
{
    free((*p)->text);
    free((*p)->name);
    free(*p);
    *p = NULL;
    return 0;
}
