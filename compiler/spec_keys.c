/* spec_keys.c - spec.def as data, and looking things up in it. */
#include "compiler/spec.h"

#include <string.h>

const SpecKeyInfo spec_keys[KEY_COUNT] = {
#define KEY(id, field, path, kind, need, def, lo, hi, words, doc)                                  \
    [KEY_##id] = {path, SPEC_KIND_##kind,          SPEC_NEED_##need, def, lo, hi, words,           \
                  doc,  offsetof(ModelSpec, field)},
#include "compiler/spec.def"
};

const SpecGroupInfo spec_groups[] = {
#define GROUP(path, main, doc) {path, main, doc},
#include "compiler/spec.def"
};
const int n_spec_groups = sizeof spec_groups / sizeof spec_groups[0];

static const char *const word_text[SPEC_WORD_COUNT] = {
    "",
#define WORD(id, text) text,
#include "compiler/spec.def"
};

const char *spec_word_text(SpecWord w)
{
    return word_text[w];
}

SpecWord spec_word_find(const char *text, size_t n)
{
    for (int i = 1; i < SPEC_WORD_COUNT; i++) {
        if (strlen(word_text[i]) == n && memcmp(word_text[i], text, n) == 0) {
            return (SpecWord)i;
        }
    }
    return SPEC_NOTHING;
}

const char *spec_words_list(Arena *a, const char *words)
{
    Buf b = buf_create(a);
    for (const char *c = words; *c != '\0'; c++) {
        if (*c == ' ') {
            buf_puts(&b, ", ");
        } else {
            buf_putc(&b, *c);
        }
    }
    return b.data;
}

bool spec_word_allowed(const char *words, const char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        size_t len = strcspn(words, " ");
        if (len == n && memcmp(words, text, n) == 0) {
            return true;
        }
        if (words[len] == '\0') {
            break;
        }
        words += len + 1;
    }
    return false;
}
