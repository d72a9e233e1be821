// What every C++ peer shares: the line protocol (docs/peers.md), the operands and the clock.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace peer {

// Product is C (m,n) = A·B with A (m,k) and B (k,n), all row-major; an operand with its flag set is stored transposed.
struct Product {
    int64_t m, n, k;
    bool trans_a, trans_b;
};

// product_of reads an operation on a linear layer of `tokens`x`in`x`out`.
inline Product product_of(const std::string& op, const std::string& shape) {
    long long tokens, in, out;
    if (std::sscanf(shape.c_str(), "%lldx%lldx%lld", &tokens, &in, &out) != 3)
        throw std::runtime_error("the shape must be tokens x in x out, not " + shape);
    if (op == "forward") return {tokens, out, in, false, true};
    if (op == "dinput") return {tokens, in, out, false, false};
    if (op == "dweight") return {out, in, tokens, true, false};
    throw std::runtime_error("this peer has no " + op);
}

// hash and normal are the generator of ofpeak/kernels/block (random.go), so that all peers multiply the same numbers.
inline uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

inline uint64_t hash(uint64_t seed, uint64_t stream, uint64_t index) {
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    return mix(mix(seed + golden * (stream + 1)) + golden * (index + 1));
}

inline double normal(uint64_t seed, uint64_t stream, uint64_t index) {
    uint64_t h = hash(seed, stream, index);
    uint64_t sum = (h & 0xffff) + (h >> 16 & 0xffff) + (h >> 32 & 0xffff) + (h >> 48);
    return (double(sum) / 65536 - 2 + 2. / 65536) * std::sqrt(3.);
}

constexpr uint64_t seed = 1, sample_stream = 99;

// fill makes operand number `stream` of n elements through `convert`.
template <class T, class F>
std::vector<T> fill(uint64_t stream, int64_t n, F convert) {
    std::vector<T> v(n);
    for (int64_t i = 0; i < n; i++) v[i] = convert(float(normal(seed, stream, i)));
    return v;
}

inline uint16_t to_bf16(float x) {
    uint32_t b;
    std::memcpy(&b, &x, 4);
    return uint16_t((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

inline float from_bf16(uint16_t h) {
    uint32_t b = uint32_t(h) << 16;
    float x;
    std::memcpy(&x, &b, 4);
    return x;
}

inline int8_t to_int8(float x) { return int8_t(std::nearbyint(x * 32)); }

// Work is one prepared request.
struct Work {
    virtual ~Work() = default;
    virtual void step() = 0;
    virtual int64_t size() const = 0;
    virtual double result(int64_t i) const = 0;
};

using Prepare = std::function<std::unique_ptr<Work>(const Product&, const std::string& dtype)>;

inline double seconds_per_call(Work& w, double at_least) {
    using clock = std::chrono::steady_clock;
    auto start = clock::now();
    for (int calls = 1;; calls++) {
        w.step();
        double s = std::chrono::duration<double>(clock::now() - start).count();
        if (s >= at_least) return s / calls;
    }
}

inline void print_sample(const Work& w, int count) {
    for (int i = 0; i < count; i++) std::printf("%.9g ", w.result(hash(seed, sample_stream, i) % w.size()));
    std::printf("\n");
}

// serve answers requests until the input ends.
inline int serve(const std::string& name, const Prepare& prepare) {
    std::printf("ready %s\n", name.c_str());
    std::fflush(stdout);
    std::unique_ptr<Work> work;
    for (std::string line; std::getline(std::cin, line); std::fflush(stdout)) {
        std::istringstream words(line);
        std::string verb, op, shape, dtype;
        words >> verb;
        if (verb == "prepare") {
            words >> op >> shape >> dtype;
            work.reset();
            try {
                work = prepare(product_of(op, shape), dtype);
                work->step();
                std::printf("ok\n");
            } catch (const std::exception& e) {
                work.reset();
                std::printf("no %s\n", e.what());
            }
        } else if (!work) {
            std::printf("no request was prepared\n");
        } else if (verb == "time") {
            double at_least = 0;
            words >> at_least;
            std::printf("%.9g\n", seconds_per_call(*work, at_least));
        } else if (verb == "sample") {
            int count = 0;
            words >> count;
            print_sample(*work, count);
        } else {
            std::printf("no verb %s; use prepare, time or sample\n", verb.c_str());
        }
    }
    return 0;
}

}  // namespace peer
