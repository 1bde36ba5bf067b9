/* What a warp has of a head's queries: outputs in pairs (two more a row keep banks apart), maxima
 * and sums. */
struct Partial {
    enum { ROW = HEAD_DIM / 2 + 2 };
    float2 out[GROUP][ROW];
    float max[8], sum[8];
};
