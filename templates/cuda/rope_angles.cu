//# rope_angles.cu - cosines and sines of every rotated pair. Part: rope_angle.
${launch("rows", 1, 128)};
void ${name}(${params})
{
    enum { HALF = ${HALF} };
    const int32_t position = pos[blockIdx.x];
    float *to = ${row("out", "blockIdx.x")};
    for (int i = threadIdx.x; i < HALF; i += 128) {
        ${part("rope_angle", "")};
    }
}
