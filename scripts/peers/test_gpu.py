"""python3 -m unittest discover scripts/peers"""

import unittest

import gpu

ROW = dict(status="ok", engine="native", ranks="1", recompute="none", precision="bf16", c="64", nh="2", t="32", l="1", b="4", tokens_per_s="2000", vocab="",
           sparse_format="", experts="", variants="", memory_limit_bytes="") | {"pass": "train"}


class FakeTorch:
    name, device = "fake 1", "cuda"

    def __init__(self, gpu_losses=(1.0, 0.5)):
        self.gpu_losses = list(gpu_losses)

    def losses(self, shape, dtype, device):
        return [1.0, 0.5] if device == "cpu" else self.gpu_losses

    def train(self, shape, dtype, compiled):
        if compiled:
            raise RuntimeError("no\n  compiler")
        return type("Work", (), {"step": lambda self: None})()

    def seconds(self, step, at_least):
        return 0.064

    def product(self, dtype, edge, at_least):
        return 200


class GPUTest(unittest.TestCase):
    def test_only_dense_steps_on_one_gpu_have_a_peer(self):
        others = [{"ranks": "2"}, {"pass": "forward"}, {"status": "failed"}, {"precision": "fp16"}, {"sparse_format": "2:4"}, {"vocab": "50257"}, {"recompute": "blocks"}]
        self.assertEqual(gpu.steps([ROW, *(ROW | o for o in others)]), {("64x2x32x1x4", "bf16"): 2000.0})

    def test_the_fastest_dense_figure_is_the_ceiling(self):
        rows = [("bf16 multiply-add", "TFLOPS", "250"), ("bf16 multiply-add", "TFLOPS", "280"), ("bf16 multiply-add, 2:4 with its zeros", "TFLOPS", "500"),
                ("int8 multiply-add", "TOPS", "600"), ("memory read", "GB/s", "1800")]
        self.assertEqual(gpu.ceilings(dict(zip(("ceiling", "unit", "one GPU"), r)) for r in rows), {"bf16": 280.0})

    def test_lines_have_both_sides_and_failures_do_not_stop_them(self):
        lines, failed = gpu.measure(FakeTorch(), {("64x2x32x1x4", "bf16"): 2000.0}, {"bf16": 250}, 0)
        self.assertEqual(lines[0], dict(op="train", shape="64x2x32x1x4", dtype="bf16", unit="tokens/s", ours="2000", peer="2000", peer_name="fake 1 eager", ratio="1.000"))
        self.assertEqual([(r["dtype"], r["ours"], r["ratio"]) for r in lines[1:]], [("fp32", "", ""), ("tf32", "", ""), ("fp16", "", ""), ("bf16", "250", "1.250")])
        self.assertEqual(failed, ["fake 1 compile, 64x2x32x1x4 bf16: no compiler"])

    def test_losses_must_be_those_of_the_cpu(self):
        self.assertEqual(gpu.check(FakeTorch()), "")
        for wrong in ([1.0, 0.6], [1.0, float("nan")]):
            self.assertIn("on the CPU [1.0, 0.5]", gpu.check(FakeTorch(wrong)))


if __name__ == "__main__":
    unittest.main()
