"""python3 -m unittest discover scripts/peers"""

import contextlib
import io
import os
import pathlib
import sys
import tempfile
import unittest

import peers

CORES = sorted(os.sched_getaffinity(0))[-1:]
CASE = peers.Case("forward", "2x3x5", "fp32")

# A peer that answers from its arguments: seconds of a call, and the sample.
FAKE = """
import sys
print("ready fake 1.2", flush=True)
for line in sys.stdin:
    verb, *args = line.split()
    if verb == "prepare" and args[2] != "fp32":
        print("no such type", flush=True)
    elif verb == "crash":
        sys.exit(3)
    else:
        print({"prepare": "ok", "time": sys.argv[1], "sample": " ".join(sys.argv[2:])}[verb], flush=True)
"""


def fake(seconds, *sample):
    return [sys.executable, "-c", FAKE, str(seconds), *map(str, sample)]


class ComparisonTest(unittest.TestCase):
    def peer(self, seconds, *sample):
        p = peers.Peer(fake(seconds, *sample), CORES)
        self.addCleanup(p.close)
        return p

    def test_ratio_over_one_means_ours_is_faster(self):
        r = peers.compare(self.peer(0.5, 1, 2), self.peer(0.75, 1, 2), CASE, pairs=3, batch=0, budget=0)
        self.assertEqual((r.ours, r.peer, r.ratio, r.low, r.high, r.error), (0.5, 0.75, 1.5, 1.5, 1.5, 0))
        self.assertEqual(
            peers.row(CASE, 2, "fake 1.2", r),
            dict(op="forward", shape="2x3x5", dtype="fp32", threads=2, unit="GFLOPS", ours="1.2e-07", peer="8e-08",
                 peer_name="fake 1.2", ratio="1.500"),
        )

    def test_results_that_differ_are_no_row(self):
        for sample in ([1, 2.1], [1], [1, "nan"], ["inf", 2]):
            with self.assertRaisesRegex(ValueError, "forward 2x3x5 fp32: ofpeak and fake 1.2 differ by"):
                peers.compare(self.peer(1, 1, 2), self.peer(1, *sample), CASE, pairs=3, batch=0, budget=0)

    def test_what_a_peer_lacks_is_missing(self):
        with self.assertRaisesRegex(peers.Missing, "no such type"):
            self.peer(1, 1).prepare(peers.Case("forward", "2x3x5", "int8"))

    def test_a_peer_that_ends_is_missing(self):
        p = self.peer(1, 1)
        with self.assertRaisesRegex(peers.Missing, "ended with status 3"):
            p.ask("crash")
        with self.assertRaises(peers.Missing):
            peers.Peer([sys.executable, "-c", "print('hello')"], CORES)

    def test_a_peer_that_cannot_be_built_says_what_to_install(self):
        with self.assertRaisesRegex(peers.Missing, r"install it \(no-such-compiler is not there\)"):
            peers.build(("no-such-compiler",), "install it")
        with self.assertRaisesRegex(peers.Missing, r"install it \(boom\)"):
            peers.build((sys.executable, "-c", "import sys; sys.exit('boom')"), "install it")


class CaseTest(unittest.TestCase):
    def test_work(self):
        self.assertEqual(peers.Case("dinput", "10x20x30", "int8").work(), (12e-6, "GOPS"))
        self.assertEqual(peers.Case("train", "768x12x1024x1x4", "bf16").work(), (4096, "tokens/s"))

    def test_block_sparse_ratios_are_of_the_ideal(self):
        case = peers.Case("forward", "8x128x64", "fp32-block16-75")
        self.assertEqual((case.kept(), CASE.kept(), peers.Case("forward", "8x128x64", "fp32-2:4").kept()), (0.25, 1, 1))
        self.assertEqual(peers.Case("forward", "8x64x64", "fp32-block64-90").kept(), 1)
        r = peers.Result(1, 2, 0.5, 0.5, 0.5, 0)
        self.assertEqual([peers.row(case, 1, "dense", r)[c] for c in ("ours", "peer", "ratio")], ["3.277e-05", "6.554e-05", "0.500"])

    def test_block_shapes(self):
        self.assertEqual(peers.SHAPES["gpt2"], ["1024x768x2304", "1024x768x768", "1024x768x3072", "1024x3072x768"])
        self.assertEqual(peers.SHAPES["7b"], ["512x4096x12288", "512x4096x4096", "512x4096x16384", "512x16384x4096"])


class CommandTest(unittest.TestCase):
    def test_csv_has_the_columns_and_the_missing_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            here = pathlib.Path(folder)
            known, build = peers.PEERS, peers.build_ours
            self.addCleanup(lambda: (setattr(peers, "PEERS", known), setattr(peers, "build_ours", build)))

            def absent(_):
                raise peers.Missing("install it")

            script = here / "fake"
            script.write_text(f"#!{sys.executable}\n{FAKE.replace('sys.argv[1]', repr('0.5')).replace('sys.argv[2:]', repr(['1']))}")
            script.chmod(0o755)
            peers.build_ours = lambda _: str(script)
            peers.PEERS = {"fake": (lambda _: str(script), []), "absent": (absent, [])}
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                status = peers.main(["products", "--peers", "fake,absent", "--only", "forward 512x512x512", "--threads", "1",
                                     "--pairs", "3", "--batch", "0", "--out", f"{folder}/deep/{{suite}}.csv"])
            self.assertEqual(status, 0)
            self.assertIn("skipped absent: install it", said.getvalue())
            self.assertEqual(
                (here / "deep/products.csv").read_text(),
                "op,shape,dtype,threads,unit,ours,peer,peer_name,ratio\n"
                "forward,512x512x512,fp32,1,GFLOPS,0.5369,0.5369,fake 1.2,1.000\n",
            )


if __name__ == "__main__":
    unittest.main()
