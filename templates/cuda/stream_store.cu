//# stream_store.cu - the end of matmul_stream: the epilogue of token t and a tile's rows.
//% if WAYS > 1
const float acc0 = acc, acc1 = __shfl_xor_sync(0xffffffff, acc, 8);
//% else
const float acc0 = acc;
//% end
const int64_t n = tile * ${floor(16 / WAYS)} + lane;
if (lane < ${floor(16 / WAYS)} && t < rows && n < ${N}) {
    ${leaves};
    ${store("out", "t", "n")};
}
