//# store_codes.cu - the end of quantize and rmsnorm_quant: the codes of v to `to`.
#pragma unroll
for (int i = 0; i < STEPS; i++) {
    const int at = (threadIdx.x + i * THREADS) * PER;
    __align__(8) ${code_type} code[PER];
#pragma unroll
    for (int e = 0; e < PER; e++) {
        code[e] = ${code_of}(v[i][e], scale);
    }
    if (at < DIM) {
        //% if PER == 8
        *(uint2 *)(to + at) = *(const uint2 *)code;
        //% else
        to[at] = code[0];
        //% end
    }
}
