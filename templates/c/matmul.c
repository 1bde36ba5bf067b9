//# matmul.c - out = epilogue(x . w^T). A unit is some tiles of LANES weight rows; each thread takes
//# a run of units and reads their weights once, front to back. blocked: more rows than a register
//# block takes at once.
static void ${name}(${params})
{
    enum { TOKENS = ${MT}, K = ${K}, N = ${N}, COLS = ${COLS}, UNITS = ${UNITS} };
    const Slice slice = slice_of(UNITS, thread, threads);
    for (int64_t unit = slice.begin; unit < slice.end; unit++) {
        float acc[TOKENS * ${NT} * LANES] __attribute__((aligned(64)));
        //% if blocked
        for (int64_t t0 = 0; t0 < rows; t0 += TOKENS) {
            const int64_t t_end = rows - t0 < TOKENS ? rows : t0 + TOKENS;
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
        //% else
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
        //% end
    }
}
