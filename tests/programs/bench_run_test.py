"""sluice-bench run: receivers beside each other."""

import json
import os
import re
import signal
import subprocess
import sys
import time

from harness import WATCHDOG, ProgramTest, Serving, have_uring, main, program, run


class RunTest(ProgramTest):
    def compare(self, *arguments, code=0):
        done = run(
            "run", "--json", "--quiet", "--rounds", 2, "--warmup", 0, "--messages", 1000, *arguments
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return {(r["workload"], r["receiver"]): r for r in json.loads(done.stdout)["results"]}

    def test_floors(self):
        receivers = ["bare-recv", "bare-epoll"] + (
            ["bare-ring", "bare-ring-oneshot"] if have_uring() else []
        )
        workloads = ["bin-125", "mixed-1k-f100", "16-c20", "paced", "pp-64"]
        results = self.compare(
            "--receivers", ",".join(receivers), "--workloads", ",".join(workloads)
        )
        for (workload, receiver), result in results.items():
            with self.subTest((workload, receiver)):
                self.assertNotIn("error", result)
                self.assertEqual(len(result["cpu_s_per_gb"]["rounds"]), 2)
                sleeps = workload in ("16-c20", "paced")
                self.assertEqual(result["floor"], "bare-epoll" if sleeps else "bare-recv")
                if receiver == result["floor"]:
                    self.assertEqual(result["ratio"], 1)
                self.assertEqual("p50_us" in result, workload == "pp-64")
        expected = {(w, r) for w in workloads for r in receivers} - {("16-c20", "bare-recv")}
        self.assertEqual(set(results), expected)

    def test_sluice_beside_its_floor(self):
        receivers = ["epoll-view", "epoll-copy", "epoll-message", "epoll-view@20", "auto-view"]
        receivers.append("bare-recv")
        if have_uring():
            receivers += ["uring-view", "uring-copy", "uring-message"]
        results = self.compare(
            "--receivers", ",".join(receivers), "--workloads", "bin-125,mixed-1k-f100,pp-64"
        )
        self.assertEqual(len(results), 3 * len(receivers))
        for key, result in results.items():
            with self.subTest(key):
                self.assertNotIn("error", result)
                # The time of a process that never sleeps is known to the tick only: may be none.
                self.assertGreaterEqual(result["ratio"], 0)
                if "@" not in key[1]:
                    self.assertGreater(result["ratio"], 0)

    def test_tables(self):
        done = run(
            "run", "--receivers", "bare-recv,bare-epoll", "--workloads", "bin-125,pp-64",
            "--rounds", 1, "--warmup", 0, "--messages", 500,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^bin-125 +CPU s/GB")
        self.assertRegex(done.stdout, r"(?m)^bare-epoll +[\d.]+ +[\d.]+")
        self.assertRegex(done.stdout, r"(?m)^bare-recv +1\.00 +1\.00$")
        self.assertIn("round 1 of 1: bare-epoll\n", done.stderr)  # plain lines in a log
        self.assertNotIn("\r", done.stderr)

    def test_a_server_that_runs_already(self):
        with Serving("floor", "--kind", "epoll") as floor:
            results = self.compare(
                "--receivers", "bare-recv", "--workloads", "bin-125", "--name", "mine",
                "--target", f"127.0.0.1:{floor.port}", "--pid", floor.pid,
            )  # fmt: skip
        self.assertGreater(results["bin-125", "mine"]["ratio"], 0)
        self.assertEqual(floor.totals[0], 2)

    def test_another_program(self):
        results = self.compare(
            "--receivers", "bare-epoll", "--workloads", "bin-125",
            "--peer", f"other={program()} floor --kind recv --port {{port}}",
        )  # fmt: skip
        self.assertEqual(len(results["bin-125", "other"]["cpu_s_per_gb"]["rounds"]), 2)

    def test_a_receiver_that_fails_is_named_and_the_others_go_on(self):
        results = self.compare(
            "--receivers", "bare-epoll", "--workloads", "bin-125", "--peer", "gone=false", code=1
        )
        self.assertIn("ended with code 1", results["bin-125", "gone"]["error"])
        self.assertEqual(len(results["bin-125", "bare-epoll"]["cpu_s_per_gb"]["rounds"]), 2)

    def test_a_signal_leaves_nothing_running(self):
        process = subprocess.Popen(
            [program(), "run", "--receivers", "bare-epoll", "--workloads", "bin-1k",
             "--seconds", "600"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        children = []
        while not children:
            with open(
                f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii"
            ) as listed:
                children = listed.read().split()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WATCHDOG)
        self.assertEqual(process.returncode, 130, errors)
        for child in children:
            self.assertFalse(os.path.exists(f"/proc/{child}"))


class WebsocketsTest(ProgramTest):
    """The generator against a server of another make: Debian's python3-websockets."""

    def test_counts_and_echoes(self):
        python = next(
            (
                candidate
                for candidate in (sys.executable, "/usr/bin/python3")
                if os.path.exists(candidate)
                and subprocess.run(
                    [candidate, "-c", "import websockets"], capture_output=True, check=False
                ).returncode
                == 0
            ),
            None,
        )
        if python is None:
            self.skipTest("no python3-websockets here")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "websockets_peer.py")
        done = run(
            "run", "--json", "--quiet", "--rounds", 1, "--warmup", 0, "--messages", 300,
            "--receivers", "bare-epoll", "--workloads", "125-c7,mixed-64k-f5k,emoji-1k,pp-1k",
            "--peer", f"websockets={python} {script} {{port}} {{mode}}",
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        results = json.loads(done.stdout)["results"]
        self.assertEqual(sum(r["receiver"] == "websockets" for r in results), 4)


if __name__ == "__main__":
    main()
