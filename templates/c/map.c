//# map.c - an expression over operands of the same rows; columns in blocks of UNIT are shared out.
static void ${name}(${params})
{
    enum { COLS = ${COLS}, UNIT = ${UNIT}, UNITS = ${UNITS} };
    const Slice slice = slice_of(UNITS, thread, threads);
    const int64_t end = slice.end * UNIT < COLS ? slice.end * UNIT : COLS;
    for (int64_t t = 0; t < rows; t++) {
        for (int64_t n = slice.begin * UNIT; n < end; n += LANES) {
            //% if ragged
            const int64_t left = COLS - n;
            //% end
            ${leaves};
            ${store("out", "t", "n")};
        }
    }
}
