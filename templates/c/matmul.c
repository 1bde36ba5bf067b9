//# matmul.c - out = epilogue(x . w^T). A unit is some tiles of LANES weight rows; each thread takes
//# a run of units and reads their weights front to back.
//#   packs    the register block reads x in a form of its own
//#   blocked  more rows than a register block takes; BLOCK of them stay in cache beside a unit's
//#            weights
static void ${name}(${params})
{
    //% if blocked
    enum { TOKENS = ${MT}, BLOCK = ${BLOCK} };
    //% else
    enum { TOKENS = ${MT} };
    //% end
    enum { K = ${K}, N = ${N}, COLS = ${COLS}, UNITS = ${UNITS} };
    const Slice slice = slice_of(UNITS, thread, threads);
    //% if packs
    ${packed_rows};
    //% end
    //% if blocked
    for (int64_t b0 = 0; b0 < rows; b0 += BLOCK) {
        const int64_t b_end = rows - b0 < BLOCK ? rows : b0 + BLOCK;
        //% if packs
        ${pack("b0", "b_end - b0")};
        //% end
        for (int64_t unit = slice.begin; unit < slice.end; unit++) {
            float acc[TOKENS * ${NT} * LANES] __attribute__((aligned(64)));
            for (int64_t t0 = b0; t0 < b_end; t0 += TOKENS) {
                const int64_t t_end = b_end - t0 < TOKENS ? b_end : t0 + TOKENS;
                ${dot("acc", "t0", "unit * " + string(NT))};
                for (int64_t t = t0; t < t_end; t++) {
                    for (int64_t j = 0; j < COLS; j += LANES) {
                        const int64_t n = unit * COLS + j;
                        //% if ragged
                        const int64_t left = N - n;
                        if (left <= 0) {
                            break;
                        }
                        //% end
                        ${accs("acc", "(t - t0)", "j")};
                        ${leaves};
                        ${store("out", "t", "n")};
                    }
                }
            }
        }
    }
    //% else
    //% if packs
    ${pack("0", "rows")};
    //% end
    for (int64_t unit = slice.begin; unit < slice.end; unit++) {
        float acc[TOKENS * ${NT} * LANES] __attribute__((aligned(64)));
        ${dot("acc", "0", "unit * " + string(NT))};
        for (int64_t t = 0; t < rows; t++) {
            for (int64_t j = 0; j < COLS; j += LANES) {
                const int64_t n = unit * COLS + j;
                //% if ragged
                const int64_t left = N - n;
                if (left <= 0) {
                    break;
                }
                //% end
                ${accs("acc", "t", "j")};
                ${leaves};
                ${store("out", "t", "n")};
            }
        }
    }
    //% end
}
