// A mixture of experts around its products (Fedus et al., "Switch Transformer", arXiv:2101.03961, section 2; Lepikhin et al., "GShard", arXiv:2006.16668, section 2.2). Every sum has a
// fixed order, and no place in an expert is taken by an atomic operation, so that equal inputs are routed alike.
#include "common.cuh"

INLINE i64 gridWarp() { return gridThread() / 32; }
INLINE i64 gridWarps() { return gridThreads() / 32; }

// argmax is the expert of the largest logit but for one, the lower of equals; all lanes have the same.
template <typename T> INLINE int argmax(const T *x, int e, int but) {
    float top = 0;
    int best = -1;
    for (int j = threadIdx.x % 32; j < e; j += 32) {
        const float v = widen(x[j]);
        if (j != but && (best < 0 || v > top)) top = v, best = j;
    }
#pragma unroll
    for (int m = 16; m > 0; m >>= 1) {
        const float v = __shfl_xor_sync(~0u, top, m);
        const int j = __shfl_xor_sync(~0u, best, m);
        if (j >= 0 && (best < 0 || v > top || (v == top && j < best))) top = v, best = j;
    }
    return __shfl_sync(~0u, best, 0); // NaNs compare differently in each lane
}

// A warp for each token writes its probabilities, choices and gates.
template <typename T> INLINE void choose(float *probs, float *gates, int *choices, const T *logits, i64 n, int e, int k) {
    const int lane = threadIdx.x % 32;
    for (i64 i = gridWarp(); i < n; i += gridWarps()) {
        const T *x = logits + i * e;
        const int first = argmax(x, e, -1);
        const float top = widen(x[first]);
        float sum = 0;
        for (int j = lane; j < e; j += 32) sum += expf(widen(x[j]) - top);
        sum = warpSum(sum);
        for (int j = lane; j < e; j += 32) probs[i * e + j] = expf(widen(x[j]) - top) / sum;
        if (k == 1) {
            if (lane == 0) choices[i] = first, gates[i] = 1 / sum;
            continue;
        }
        const int second = argmax(x, e, first);
        const float p = expf(widen(x[second]) - top); // beside 1, the first's
        if (lane == 0) {
            choices[2 * i] = first, choices[2 * i + 1] = second;
            gates[2 * i] = 1 / (1 + p), gates[2 * i + 1] = p / (1 + p);
        }
    }
}

// Places the choices of a group, a block for each, its warps an expert each: first choices before second ones, in the order of the tokens. A block leaves its groups' load-balancing loss and
// number of dropped choices in parts.
KERNEL __launch_bounds__(256)
place_choices(int *rows, int *tokens, float *parts, const float *probs, const int *choices, i64 groups, int group, int capacity, int e, int k, float inverse) {
    const int lane = threadIdx.x % 32;
    float balance = 0, dropped = 0;
    for (i64 g = blockIdx.x; g < groups; g += gridDim.x) {
        const i64 begin = g * group;
        for (int j = threadIdx.x / 32; j < e; j += blockDim.x / 32) {
            const i64 place = (j * groups + g) * capacity; // of the expert's rows for the group
            float mean = 0;
            int taken = 0, first = 0;
            for (int c = 0; c < k; c++) {
                for (int t0 = 0; t0 < group; t0 += 32) {
                    const bool inside = t0 + lane < group;
                    const i64 at = (begin + t0 + lane) * k + c;
                    const bool mine = inside && choices[at] == j;
                    const u32 all = __ballot_sync(~0u, mine);
                    const int nth = taken + __popc(all & ((1u << lane) - 1));
                    if (mine && nth < capacity) rows[at] = (int)(place + nth), tokens[place + nth] = (int)at;
                    if (mine && nth >= capacity) rows[at] = -1, dropped++;
                    if (inside && c == 0) mean += probs[(begin + t0 + lane) * e + j];
                    taken += __popc(all);
                }
                if (c == 0) first = taken;
            }
            for (int r = taken + lane; r < capacity; r += 32) tokens[place + r] = -1;
            balance += mean / group * ((float)first / group);
        }
    }
    balance = blockSum(balance);
    dropped = blockSum(dropped);
    if (threadIdx.x == 0) parts[2 * blockIdx.x] = balance * e * inverse, parts[2 * blockIdx.x + 1] = dropped;
}

// Adds the blocks' parts, and the number of choices, to the statistics.
KERNEL __launch_bounds__(256) add_routes(float *stats, const float *parts, int n, float choices) {
    float balance = 0, dropped = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) balance += parts[2 * i], dropped += parts[2 * i + 1];
    balance = blockSum(balance);
    dropped = blockSum(dropped);
    if (threadIdx.x == 0) stats[0] += balance, stats[1] += dropped, stats[2] += choices;
}

extern __shared__ int firsts[]; // of a group's tokens, how many chose each expert first

// Gradient of the logits through gates and probabilities: a block for each group, a warp for each token. balance is the factor of an expert's count of first choices.
template <typename T>
INLINE void routeBackward(T *dlogits, const float *dgates, const float *probs, const float *gates, const int *choices, const float *state,
                          float balance, i64 groups, int group, int e, int k) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    balance *= state[0];
    for (i64 g = blockIdx.x; g < groups; g += gridDim.x) {
        for (int j = warp; j < e; j += warps) {
            int n = 0;
            for (int t = lane; t < group; t += 32) n += choices[(g * group + t) * k] == j;
            n = warpSum(n);
            if (lane == 0) firsts[j] = n;
        }
        __syncthreads();
        for (int t = warp; t < group; t += warps) {
            const i64 i = g * group + t;
            const float *p = probs + i * e, *dg = dgates + i * k;
            const int a = choices[i * k], b = k == 2 ? choices[i * k + 1] : -1;
            float da = dg[0], db = 0;
            if (k == 2) {
                const float sum = p[a] + p[b], through = da * gates[2 * i] + dg[1] * gates[2 * i + 1];
                da = (da - through) / sum, db = (dg[1] - through) / sum;
            }
            const auto dp = [&](int j) { return balance * firsts[j] + (j == a ? da : 0) + (j == b ? db : 0); };
            float mean = 0;
            for (int j = lane; j < e; j += 32) mean += p[j] * dp(j);
            mean = warpSum(mean);
            for (int j = lane; j < e; j += 32) narrow(dlogits[i * e + j], p[j] * (dp(j) - mean));
        }
        __syncthreads(); // the counts of the next group
    }
}

// A block for each row of an expert brings its token, times its gate where gates are there.
template <typename T, int N> INLINE void dispatch(T *out, const T *x, const int *tokens, const float *gates, int k, int c) {
    const int at = tokens[blockIdx.x];
    const float gate = at >= 0 && gates ? gates[at] : 1;
    for (int i = threadIdx.x * N; i < c; i += blockDim.x * N) {
        float v[N] = {};
        if (at >= 0) {
            load(v, x + (i64)(at / k) * c + i);
#pragma unroll
            for (int l = 0; l < N; l++) v[l] *= gate;
        }
        store(out + (i64)blockIdx.x * c + i, v);
    }
}

// A block for each token adds its experts' rows. out may be residual.
template <typename T, int N> INLINE void combine(T *out, const T *y, const T *residual, const int *rows, const float *gates, int k, int c) {
    const i64 n = blockIdx.x;
    for (int i = threadIdx.x * N; i < c; i += blockDim.x * N) {
        float v[N] = {}, w[N];
        if (residual) load(v, residual + n * c + i);
        for (i64 at = n * k; at < (n + 1) * k; at++) {
            if (rows[at] < 0) continue;
            const float gate = gates ? gates[at] : 1;
            load(w, y + (i64)rows[at] * c + i);
#pragma unroll
            for (int l = 0; l < N; l++) v[l] += gate * w[l];
        }
        store(out + n * c + i, v);
    }
}

// A warp for each choice: the gradient of its gate.
template <typename T, int N> INLINE void gateBackward(float *dgates, const T *dout, const T *y, const int *rows, i64 choices, int k, int c) {
    for (i64 at = gridWarp(); at < choices; at += gridWarps()) {
        float sum = 0;
        if (rows[at] >= 0)
            for (int i = threadIdx.x % 32 * N; i < c; i += 32 * N) {
                float v[N], w[N];
                load(v, dout + at / k * c + i);
                load(w, y + (i64)rows[at] * c + i);
#pragma unroll
                for (int l = 0; l < N; l++) sum += v[l] * w[l];
            }
        sum = warpSum(sum);
        if (threadIdx.x % 32 == 0) dgates[at] = sum;
    }
}

#define ROWS(T, N, suffix)                                                                                            \
    KERNEL __launch_bounds__(256)                                                                                     \
    dispatch_##T##suffix(T *out, const T *x, const int *tokens, const float *gates, int k, int c) {                   \
        dispatch<T, N>(out, x, tokens, gates, k, c);                                                                  \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256) combine_##T##suffix(T *out, const T *y, const T *residual, const int *rows,         \
                                                      const float *gates, int k, int c) {                             \
        combine<T, N>(out, y, residual, rows, gates, k, c);                                                           \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    gate_backward_##T##suffix(float *dgates, const T *dout, const T *y, const int *rows, i64 choices, int k, int c) { \
        gateBackward<T, N>(dgates, dout, y, rows, choices, k, c);                                                     \
    }

#define EXPERTS(T, N)                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    choose_##T(float *probs, float *gates, int *choices, const T *logits, i64 n, int e, int k) {                      \
        choose(probs, gates, choices, logits, n, e, k);                                                               \
    }                                                                                                                 \
    KERNEL __launch_bounds__(256)                                                                                     \
    route_backward_##T(T *dlogits, const float *dgates, const float *probs, const float *gates, const int *choices,   \
                       const float *state, float balance, i64 groups, int group, int e, int k) {                      \
        routeBackward(dlogits, dgates, probs, gates, choices, state, balance, groups, group, e, k);                   \
    }                                                                                                                 \
    ROWS(T, 1, )                                                                                                      \
    ROWS(T, N, _packed)

EXPERTS(float, 4)
EXPERTS(f16, 8)
EXPERTS(bf16, 8)
