/* jit.h - a program that holds the text of its kernels: compiled when it starts, for the chip that
 * is there, by NVRTC, or taken from the cache of an earlier start. */
#ifndef SINTER_JIT_H
#define SINTER_JIT_H

#include "cubin_cache.h"
#include "message.h"
#include "model.h"

/* Machine code of all kernels for a chip ("sm_90a"); `words` says where it came from ("compiled
 * in 0.84 s by NVRTC 13.0"). SINTER_ENVIRONMENT when there is no NVRTC or it does not know the
 * chip; SINTER_DEFECT when the kernels do not compile, with line, operator and template. */
SinterStatus jit_kernels(const SinterModel *model, const char *chip, CubinBlock *out, char *words,
                         size_t words_size, Message *m);

#endif
