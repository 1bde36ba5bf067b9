//# flash_warpgroup.cu - the loop of attention_flash with wgmma: the four warps multiply tiles of 64
//# rows together. One tile's scores are weighed while the other's are multiplied; another block of
//# the multiprocessor fills what is left. Two buffers: one barrier for BN positions.
/* s = query tile . keys, 16 columns of the head; keep: added to s. */
auto multiply = [](float (&s)[8][4], uint64_t a, uint64_t b, int keep) {
    asm volatile("{.reg .pred keep; setp.ne.b32 keep, %34, 0; "
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.${type}.${type} {"
                 //% for i in 0..7
                 "%${i * 4}, %${i * 4 + 1}, %${i * 4 + 2}, %${i * 4 + 3}, "
                 //% end
                 "%28, %29, %30, %31}, %32, %33, keep, 1, 1, 0, 0;}"
                 :
                 //% for i in 0..7
                 "+f"(s[${i}][0]), "+f"(s[${i}][1]), "+f"(s[${i}][2]), "+f"(s[${i}][3]),
                 //% end
                 "+f"(s[7][0]), "+f"(s[7][1]), "+f"(s[7][2]), "+f"(s[7][3])
                 : "l"(a), "l"(b), "r"(keep)
                 : "memory");
};
/* sums += weights . 16 values */
auto add_values = [](float (&y)[DEEP * 2][4], uint4 a, uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n${HEAD_DIM}k16.f32.${type}.${type} {"
        //% for i in 0..HEAD_DIM / 8 - 1
        "%${i * 4}, %${i * 4 + 1}, %${i * 4 + 2}, %${i * 4 + 3}, "
        //% end
        "%${HEAD_DIM / 2 - 4}, %${HEAD_DIM / 2 - 3}, %${HEAD_DIM / 2 - 2}, "
        "%${HEAD_DIM / 2 - 1}}, {%${HEAD_DIM / 2}, %${HEAD_DIM / 2 + 1}, %${HEAD_DIM / 2 + 2}, "
        "%${HEAD_DIM / 2 + 3}}, %${HEAD_DIM / 2 + 4}, 1, 1, 1, 1;"
        :
        //% for i in 0..HEAD_DIM / 8 - 1
        "+f"(y[${i}][0]), "+f"(y[${i}][1]), "+f"(y[${i}][2]), "+f"(y[${i}][3]),
        //% end
        "+f"(y[DEEP * 2 - 1][0]), "+f"(y[DEEP * 2 - 1][1]), "+f"(y[DEEP * 2 - 1][2]),
        "+f"(y[DEEP * 2 - 1][3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "l"(b)
        : "memory");
};
const uint32_t query_at = shared_address(query);
/* Values are read across: 8 positions are 1 KiB, the next 64 columns lie BN rows further. */
const uint64_t across =
    (uint64_t)(BN * 128 >> 4) << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
int turn = 0;
ask(value, values, p0);
for (int p = p0; p <= last; p += BN, turn ^= 1) {
    const int here = turn * BN * LINE, other = (turn ^ 1) * BN * LINE;
    const uint32_t key_at = shared_address(key + here), value_at = shared_address(value + here);
    wait_copies();
    copies_to_warpgroup();
    __syncthreads(); /* keys and values are there, the other buffers are free */
    if (p + BN <= last) {
        ask(key + other, keys, p + BN);
        ask(value + other, values, p + BN);
    }
    float s[TILES][8][4];
    warpgroup_begin();
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            const uint32_t of_k = k / 4 * 128, in_row = k % 4 * 32;
            multiply(s[m], warpgroup_operand<128>(query_at + of_k * BM + m * 8192 + in_row),
                     warpgroup_operand<128>(key_at + of_k * BN + in_row), k);
        }
        warpgroup_end();
    }
#pragma unroll
    for (int m = 0; m < TILES; m++) {
        warpgroup_wait<1>(); /* m = 0: the first scores; m = 1: the second ones */
        weigh(s[m], m, p);
        const uint4 a[4] = {left(s[m], 0), left(s[m], 1), left(s[m], 2), left(s[m], 3)};
        warpgroup_begin();
#pragma unroll
        for (int k = 0; k < 4; k++) {
            add_values(sum[m], a[k], across | (uint64_t)((value_at + k * 2048) >> 4 & 0x3fff));
        }
        warpgroup_end();
    }
    warpgroup_wait<0>();
}
