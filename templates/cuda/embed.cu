//# embed.cu - rows of a table by id; negative ids (unused rows) give zeros.
${launch("rows", 1, 256)};
void ${name}(${params})
{
    enum { DIM = ${DIM} };
    const int64_t t = blockIdx.x, id = ids[t];
    for (int64_t k = threadIdx.x; k < DIM; k += 256) {
        const float y = id < 0 ? 0 : ${weight("w", "id", "k")};
        ${put("out", "t", "k", "y")};
    }
}
