// oneDNN's matmul primitive. `onednn` takes the weights as a training step has them; `onednn prepacked` reorders the second operand
// once, outside the clock, into the layout that oneDNN asks for, which only weights that never change allow.
#include <dnnl.hpp>

#include "peer.hpp"

using dnnl::matmul;
using dnnl::memory;

namespace {

struct Types {
    memory::data_type in, out;
};

Types types_of(const std::string& dtype) {
    using type = memory::data_type;
    if (dtype == "fp32") return {type::f32, type::f32};
    if (dtype == "bf16") return {type::bf16, type::f32};
    if (dtype == "bf16-bf16") return {type::bf16, type::bf16};
    if (dtype == "int8") return {type::s8, type::s32};
    throw std::runtime_error("this peer has no " + dtype);
}

matmul::primitive_desc describe(const dnnl::engine& e, const memory::desc& a, const memory::desc& b, const memory::desc& c) {
#if DNNL_VERSION_MAJOR >= 3
    return {e, a, b, c};
#else
    return {matmul::desc(a, b, c), e};
#endif
}

memory::desc matrix(int64_t rows, int64_t cols, bool trans, memory::data_type t) {
    return {{rows, cols}, t, trans ? memory::format_tag::ba : memory::format_tag::ab};
}

void fill(memory& m, uint64_t stream) {
    auto put = [&](auto v) { std::memcpy(m.get_data_handle(), v.data(), m.get_desc().get_size()); };
    auto d = m.get_desc();
#if DNNL_VERSION_MAJOR >= 3
    auto t = d.get_data_type();
#else
    auto t = d.data_type();
#endif
    switch (t) {
        case memory::data_type::bf16: return put(peer::fill<uint16_t>(stream, d.get_size() / 2, peer::to_bf16));
        case memory::data_type::s8: return put(peer::fill<int8_t>(stream, d.get_size(), peer::to_int8));
        default: return put(peer::fill<float>(stream, d.get_size() / 4, [](float x) { return x; }));
    }
}

class Matmul : public peer::Work {
public:
    Matmul(const peer::Product& p, const std::string& dtype, bool prepacked) : types_(types_of(dtype)), size_(p.m * p.n) {
        auto da = matrix(p.m, p.k, p.trans_a, types_.in), db = matrix(p.k, p.n, p.trans_b, types_.in);
        auto dc = matrix(p.m, p.n, false, types_.out);
        memory::desc any({p.k, p.n}, types_.in, memory::format_tag::any);
        auto pd = describe(engine_, da, prepacked ? any : db, dc);
        primitive_ = matmul(pd);
        a_ = memory(da, engine_), b_ = memory(db, engine_), c_ = memory(dc, engine_);
        fill(a_, 0);
        fill(b_, 1);
        if (pd.weights_desc() != db) {
            memory packed(pd.weights_desc(), engine_);
            dnnl::reorder(b_, packed).execute(stream_, b_, packed);
            stream_.wait();
            b_ = packed;
        }
        args_ = {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}};
    }

    void step() override {
        primitive_.execute(stream_, args_);
        stream_.wait();
    }

    int64_t size() const override { return size_; }

    double result(int64_t i) const override {
        void* data = c_.get_data_handle();
        switch (types_.out) {
            case memory::data_type::bf16: return peer::from_bf16(static_cast<uint16_t*>(data)[i]);
            case memory::data_type::s32: return static_cast<int32_t*>(data)[i];
            default: return static_cast<float*>(data)[i];
        }
    }

private:
    Types types_;
    int64_t size_;
    dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream_{engine_};
    matmul primitive_;
    memory a_, b_, c_;
    std::unordered_map<int, memory> args_;
};

}  // namespace

int main(int argc, char** argv) {
    bool prepacked = argc > 1 && std::string(argv[1]) == "prepacked";
    auto v = dnnl::version();
    auto name = "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
    return peer::serve(prepacked ? name + " prepacked" : name, [&](const peer::Product& p, const std::string& dtype) {
        return std::make_unique<Matmul>(p, dtype, prepacked);
    });
}
