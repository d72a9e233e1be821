// AdamW (Loshchilov & Hutter, arXiv:1711.05101, algorithm 2) with the loss-scale state of the device, overflow detection and the state's update. All
// are of one pass: 28 bytes a parameter with fp32 masters, and 2 more for a 16-bit copy.
#include "common.cuh"

// Places in the loss-scale state.
enum { SCALE, GOOD, FOUND, STEPS, SKIPPED };

// power is b to the n, by squaring. In double, since 1-b^n cancels.
INLINE double power(double b, u32 n) {
    double p = 1;
    for (; n; n >>= 1, b *= b)
        if (n & 1) p *= b;
    return p;
}

template <typename T>
INLINE void step(T *param, float *master, const float *grad, float *m, float *v, const float *state, double lr, double beta1, double beta2, double eps,
                 double decay, i64 n) {
    if (state[FOUND] > 0) return;
    const u32 t = (u32)state[STEPS] + 1;
    const float unscale = 1 / state[SCALE], b1 = (float)beta1, b2 = (float)beta2, c1 = (float)(1 - beta1), c2 = (float)(1 - beta2);
    const float correct1 = (float)(1 - power(beta1, t)), correct2 = (float)(1 - power(beta2, t));
    for (i64 i = gridThread(); i < n; i += gridThreads()) {
        const float g = grad[i] * unscale;
        const float mi = b1 * m[i] + c1 * g, vi = b2 * v[i] + c2 * g * g;
        m[i] = mi;
        v[i] = vi;
        const float w = master[i], next = w - (float)lr * (mi / correct1 / (sqrtf(vi / correct2) + (float)eps) + (float)decay * w);
        master[i] = next;
        if (param) narrow(param[i], next);
    }
}

#define ADAMW(T)                                                                                                      \
    KERNEL __launch_bounds__(256)                                                                                     \
    adamw_##T(T *param, float *master, const float *grad, float *m, float *v, const float *state, double lr,          \
              double beta1, double beta2, double eps, double decay, i64 n) {                                          \
        step(param, master, grad, m, v, state, lr, beta1, beta2, eps, decay, n);                                      \
    }

ADAMW(float)
ADAMW(f16)
ADAMW(bf16)

// Threads that find an Inf or a NaN all write the same value.
template <typename T> INLINE void find(float *state, const T *x, i64 n) {
    bool bad = false;
    for (i64 i = gridThread(); i < n; i += gridThreads()) {
        const float a = widen(x[i]);
        bad |= !(fabsf(a) <= 3.402823466e38f);
    }
    if (bad) state[FOUND] = 1;
}

KERNEL __launch_bounds__(256) find_float(float *state, const float *x, i64 n) { find(state, x, n); }
KERNEL __launch_bounds__(256) find_f16(float *state, const f16 *x, i64 n) { find(state, x, n); }
KERNEL __launch_bounds__(256) find_bf16(float *state, const bf16 *x, i64 n) { find(state, x, n); }

// Dynamic loss scaling (Micikevicius et al., arXiv:1710.03740, section 3.2), by one thread.
KERNEL __launch_bounds__(32) update_scale(float *state, int dynamic, float window, float most) {
    if (threadIdx.x) return;
    if (state[FOUND] > 0) {
        state[SKIPPED] += 1;
        state[GOOD] = 0;
        if (dynamic) state[SCALE] /= 2;
    } else {
        state[STEPS] += 1;
        state[GOOD] += 1;
        if (dynamic && state[GOOD] >= window) {
            state[SCALE] = fminf(2 * state[SCALE], most);
            state[GOOD] = 0;
        }
    }
    state[FOUND] = 0;
}
