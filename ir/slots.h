/* slots.h - operand slots of the operators with many of them, in the order of ops.def; in[slot] is
 * 0 when the operand is absent. tests/unit/ir_interp.c compares them with the table. */
#ifndef SINTER_IR_SLOTS_H
#define SINTER_IR_SLOTS_H

enum { EMBED_IDS, EMBED_W, EMBED_W_SCALE, EMBED_W_ZERO };
enum { MATMUL_X, MATMUL_W, MATMUL_W_SCALE, MATMUL_W_ZERO, MATMUL_X_SCALE, MATMUL_NORM_GAIN };
enum {
    QKV_X,
    QKV_W,
    QKV_K_CACHE,
    QKV_V_CACHE,
    QKV_POS,
    QKV_ANGLES,
    QKV_Q_GAIN,
    QKV_K_GAIN,
    QKV_W_SCALE,
    QKV_W_ZERO,
    QKV_X_SCALE,
    QKV_NORM_GAIN
};
enum {
    APPEND_X,
    APPEND_K_CACHE,
    APPEND_V_CACHE,
    APPEND_K_SCALE,
    APPEND_V_SCALE,
    APPEND_POS,
    APPEND_ANGLES,
    APPEND_Q_GAIN,
    APPEND_K_GAIN
};
enum { HEADS_X, HEADS_K_CACHE, HEADS_V_CACHE, HEADS_POS, HEADS_ANGLES, HEADS_Q_GAIN, HEADS_K_GAIN };
enum { ATTN_Q, ATTN_K, ATTN_V, ATTN_POS, ATTN_K_SCALE, ATTN_V_SCALE };

#endif
