//# sums.cu - one step along K of the sums of R weight rows and TOKENS rows of x: columns k ... k +
//# PER - 1, whose group is k / GROUP. Weights are asked for first, all of them.
//% if octets
${octet} raw[R];
#pragma unroll
for (int i = 0; i < R; i++) {
    raw[i] = ${load_octet}(${address("w", row_of_i, "k")});
}
//% end
//% if scaled || has("w_zero")
const int g = k / ${GROUP};
//% end
//% if octets && codes_in
uint2 codes[TOKENS];
#pragma unroll
for (int j = 0; j < TOKENS; j++) {
    const int64_t token = t0 + j < rows ? t0 + j : rows - 1;
    codes[j] = *(const uint2 *)(${row("x", "token")} + k);
}
//% elif octets
float xs[TOKENS][8];
#pragma unroll
for (int j = 0; j < TOKENS; j++) {
    const int64_t token = t0 + j < rows ? t0 + j : rows - 1;
    ${x_floats}(xs[j], ${load_x}(${row("x", "token")} + k));
}
//% end
#pragma unroll
for (int i = 0; i < R; i++) {
    //% if octets == false || scaled || has("w_zero")
    const int64_t r = ${row_of_i};
    //% end
    //% if octets && (w_type == "u4" || w_type == "i8")
    const int zero = ${zero("r", "g")};
    //% end
    //% if octets && codes_in == false
    float weight[8];
    //% if w_type == "u4" || w_type == "i8"
    ${octet_floats}(weight, raw[i], zero);
    //% else
    ${octet_floats}(weight, raw[i]);
    //% end
    //% end
#pragma unroll
    for (int j = 0; j < TOKENS; j++) {
        //% if octets && codes_in
        const int dot = ${dot_octets}(raw[i], codes[j], zero);
        //% elif octets
        float dot = 0;
#pragma unroll
        for (int e = 0; e < 8; e++) {
            dot += xs[j][e] * weight[e];
        }
        //% else
        const int64_t token = t0 + j < rows ? t0 + j : rows - 1;
        //% if codes_in
        const ${sum_type} dot = (${row("x", "token")})[k] * ${element("r", "k", group_name)};
        //% else
        const ${sum_type} dot = ${get("x", "token", "k")} * ${element("r", "k", group_name)};
        //% end
        //% end
        //% if scaled
        //% if octets && has("x_scale")
        const int64_t token = t0 + j < rows ? t0 + j : rows - 1;
        //% end
        sum[j][i] += (float)dot${scale_factors("r", group_name, "token")};
        //% else
        sum[j][i] += dot;
        //% end
    }
}
