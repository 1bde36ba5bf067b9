/* cost.h - bytes, FLOPs, launches and the roofline on a device. */
#ifndef SINTER_IR_COST_H
#define SINTER_IR_COST_H

#include "ir/ir.h"

/* model_specs/devices/NAME.yaml, read by compiler/device.c. Rates in units per second. */
typedef struct Device {
    Str name;
    double bandwidth;                                    /* bytes/s, device memory, read */
    double flops_f32, flops_bf16, flops_int8, flops_fp8; /* dense multiply-adds counted as 2 */
    double launch_seconds;   /* per kernel: launch gap or thread barrier */
    double exchange_seconds; /* per phase of a persistent kernel: until its values are there */
    int sms;                 /* streaming multiprocessors or cores */
    int64_t shared_bytes, l2_bytes; /* per SM; whole chip */
    int64_t ahead_bytes;            /* how far ahead weights are asked for */
} Device;

typedef struct Cost {
    double weight_bytes; /* constants read */
    double read_bytes;   /* activations and caches read */
    double write_bytes;  /* activations and caches written */
    double flops;
    int launches;
} Cost;

/* What one operator costs (zero for constant ones and views). kv_len: positions attention reads. */
Cost cost_op(const Func *f, const Op *op, int64_t kv_len);
Cost cost_func(const Func *f, int64_t kv_len);
Cost cost_module(const Module *m, int64_t kv_len); /* over the whole schedule */
void cost_add(Cost *sum, const Cost *x, double times);
double cost_bytes(const Cost *c); /* weights, reads and writes together */
/* max(bytes / bandwidth, flops / rate) + launches * launch_seconds, per operator summed. */
double cost_op_seconds(const Func *f, const Op *op, int64_t kv_len, const Device *d);
double cost_func_seconds(const Func *f, int64_t kv_len, const Device *d);
double cost_module_seconds(const Module *m, int64_t kv_len, const Device *d);
/* FLOP/s of the units that an operator's dtypes can use. */
double cost_op_rate(const Func *f, const Op *op, const Device *d);
/* FLOP per byte of an op's weights at this T (0 without weights), and the T from which it is bound
 * by arithmetic, its activations counted (INFINITY: never; 0: no weights or no rates). */
double cost_intensity(const Func *f, const Op *op);
double cost_balance_tokens(const Func *f, const Op *op, const Device *d);

/* Traffic of each activation buffer and cache of a function per call, in order of first touch.
 * Views count for the buffer that they look at, appends for the cache. */
typedef struct BufferCost {
    ValueId value;
    double written, read; /* bytes */
} BufferCost;
typedef VEC(BufferCost) BufferCosts;
BufferCosts cost_buffers(Arena *a, const Func *f, int64_t kv_len);

#endif
