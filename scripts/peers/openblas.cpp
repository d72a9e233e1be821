// OpenBLAS's sgemm.
#include <cblas.h>

#include "peer.hpp"

namespace {

class Sgemm : public peer::Work {
public:
    explicit Sgemm(const peer::Product& p) : p_(p), c_(p.m * p.n) {
        auto same = [](float x) { return x; };
        a_ = peer::fill<float>(0, p.m * p.k, same);
        b_ = peer::fill<float>(1, p.k * p.n, same);
    }

    void step() override {
        cblas_sgemm(CblasRowMajor, p_.trans_a ? CblasTrans : CblasNoTrans, p_.trans_b ? CblasTrans : CblasNoTrans, p_.m, p_.n,
                    p_.k, 1, a_.data(), p_.trans_a ? p_.m : p_.k, b_.data(), p_.trans_b ? p_.k : p_.n, 0, c_.data(), p_.n);
    }

    int64_t size() const override { return int64_t(c_.size()); }
    double result(int64_t i) const override { return c_[i]; }

private:
    peer::Product p_;
    std::vector<float> a_, b_, c_;
};

}  // namespace

int main() {
    // The build string starts with "OpenBLAS <version>"; the kernel is what it chose for this processor.
    std::string version = openblas_get_config();
    version = version.substr(0, version.find(' ', version.find(' ') + 1));
    return peer::serve(version + " " + openblas_get_corename(), [](const peer::Product& p, const std::string& dtype) {
        if (dtype != "fp32") throw std::runtime_error("this peer has no " + dtype);
        return std::make_unique<Sgemm>(p);
    });
}
