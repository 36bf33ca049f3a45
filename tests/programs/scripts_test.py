"""Tests of scripts/profile, plot, fuzz, soak, test and demo: what they say to bad input, and a
short run of those that need nothing but sluice-bench. Run as: scripts_test.py SLUICE-BENCH
[unittest arguments].
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from harness import WATCHDOG, ProgramTest, Serving, main, program

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
BUILD = "bench/sluice-bench/sluice-bench"  # where the program lies in a build tree


def script(name, *arguments, python=sys.executable, **environment):
    return subprocess.run(
        [python, str(SCRIPTS / name), *map(str, arguments)], capture_output=True, text=True,
        timeout=WATCHDOG, env={**os.environ, **environment})


def shell(name, *arguments):
    return subprocess.run([SCRIPTS / name, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=WATCHDOG, check=False)


def listen_to_signals():
    """A job in the background of a script ignores some; no shell it starts could change that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class ScriptTest(ProgramTest):
    def refused(self, done, name, *words):
        """One sentence that names what is wrong; code 2."""
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith(name + ": "), done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)


class ProfileTest(ScriptTest):
    def setUp(self):
        self.build = program().removesuffix("/" + BUILD)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def profile(self, *arguments, **environment):
        return script("profile", "--build", self.build, "--out", self.folder / "out", *arguments,
                      **environment)

    def fake_perf(self, text):
        """A perf that does what one here cannot be brought to do."""
        path = self.folder / "perf"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return f"{self.folder}:{os.environ['PATH']}"

    def test_bad_input(self):
        self.refused(self.profile("125", "126"), "profile", "'126'", "c1000")
        self.refused(self.profile("--seconds", 0), "profile", "--seconds")
        self.refused(self.profile("--seconds", "long"), "profile", "--seconds", "'long'")
        self.refused(self.profile("--backend", "kqueue"), "profile", "--backend", "epoll")
        self.refused(script("profile", "--build", self.folder), "profile", "without --build")
        self.refused(self.profile(PATH=str(self.folder)), "profile", "linux-perf")

    def test_a_kernel_that_forbids_it(self):
        path = self.fake_perf('echo "access to performance monitoring is limited, see '
                              'perf_event_paranoid" >&2; exit 255\n')
        self.refused(self.profile(PATH=path), "profile", "forbids", "sysctl")
        path = self.fake_perf('[ "$1" = record ] && echo "no reason" >&2; exit 1\n')
        self.refused(self.profile(PATH=path), "profile", "no reason")

    def test_a_folder_that_cannot_be_written(self):
        if shutil.which("perf") is None:
            self.skipTest("no perf here")
        self.refused(script("profile", "--build", self.build, "--out", "/dev/null/out"), "profile",
                     "/dev/null/out")

    def test_a_signal_leaves_nothing_behind(self):
        # A perf that takes as long as it is left: what it has started ends with it.
        path = self.fake_perf('[ "$1" = record ] || exit 1\n'
                              f'echo $$ > {self.folder}/recording; exec sleep 1000\n')
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number), subprocess.Popen(
                    [sys.executable, SCRIPTS / "profile", "--build", self.build, "--out",
                     self.folder / "out"], stderr=subprocess.PIPE, text=True,
                    start_new_session=True, env={**os.environ, "PATH": path}) as running:
                recording = self.folder / "recording"
                while not recording.exists() or not recording.read_text():
                    self.assertIsNone(running.poll())
                os.kill(running.pid, number)
                self.assertEqual(running.wait(WATCHDOG), 128 + number)
                self.assertEqual(running.stderr.read(), "")
                # The session holds nobody any more: neither the sink nor perf.
                recording.unlink()
                with self.assertRaises(ProcessLookupError):
                    os.killpg(running.pid, 0)

    def test_a_busy_port(self):
        if shutil.which("perf") is None:
            self.skipTest("no perf here")
        with Serving("sink") as other:
            self.refused(self.profile("--port", other.port), "profile", str(other.port))

    def test_a_flame_graph_and_a_table(self):
        if shutil.which("perf") is None:
            self.skipTest("no perf here")
        done = self.profile("125", "--seconds", "0.5")
        if "forbids" in done.stderr:
            self.skipTest(done.stderr)
        self.assertEqual(done.returncode, 0, done.stderr)
        out = self.folder / "out"
        drawn = xml.etree.ElementTree.parse(out / "125.svg").getroot()
        boxes = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}title")]
        self.assertGreater(len(boxes), 10)
        table = (out / "125.txt").read_text()
        self.assertIn(table, done.stdout)
        self.assertIn("confirmed by the receiver", table)
        for kind in ("kernel", "OpenSSL", "ours"):
            self.assertRegex(table, rf"{kind} \d+\.\d %")
        samples = int(table.splitlines()[1].split()[0])
        stacks = (out / "125.folded").read_text().splitlines()
        self.assertEqual(sum(int(line.rsplit(" ", 1)[1]) for line in stacks), samples)
        self.assertFalse((out / "125.perf").exists())


class OthersTest(ScriptTest):
    def test_test_bad_input(self):
        for words in (["--preset", "fast"], ["--preset"], ["--jobs", "x"], ["--jobs", "0"],
                      ["--kernel", "avx3"], ["--kernel"], ["--filter"], ["--presets"]):
            self.refused(shell("test", "--no-install", *words), "test", *words)

    def test_demo_bad_input(self):
        for words in (["--seconds", "1.2.3"], ["--seconds", "."], ["--seconds", "0"],
                      ["--seconds"], ["--messages", "1.5"], ["--messages", "0"],
                      ["--peer", "perl"], ["--peer"], ["--backend", "kqueue"], ["--lives"]):
            self.refused(shell("demo", "--no-install", *words), "demo", *words)

    def test_a_signal_ends_what_test_and_demo_have_started(self):
        # A cmake that waits for a child of its own. All of them have the end of a pipe: it is
        # closed when the last of them is gone.
        for name in ("test", "demo"):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                with self.subTest(name, number=number), tempfile.TemporaryDirectory() as folder:
                    seen, held = os.pipe()
                    cmake = pathlib.Path(folder) / "cmake"
                    cmake.write_text("#!/bin/sh\nsleep 1000 &\n"
                                     f"echo started >/proc/self/fd/{held}\nwait\n")
                    cmake.chmod(0o755)
                    with open(seen, encoding="ascii") as pipe, subprocess.Popen(
                            [SCRIPTS / name, "--no-install"], pass_fds=[held],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
                            preexec_fn=listen_to_signals) as running:
                        os.close(held)
                        self.assertEqual(pipe.readline(), "started\n")
                        running.send_signal(number)
                        self.assertEqual(pipe.read(), "")
                        self.assertEqual(running.wait(WATCHDOG), 128 + number)
                        said = running.stdout.read().splitlines()[-1]
                    self.assertIn("ended by a signal" if name == "test" else "interrupted", said)

    def test_fuzz_bad_input(self):
        self.refused(script("fuzz", "nothing_fuzz"), "fuzz", "'nothing_fuzz'", "receive_fuzz")
        self.refused(script("fuzz", "--seconds", 0), "fuzz", "--seconds")
        self.refused(script("fuzz", "--seconds", "long"), "fuzz", "--seconds", "'long'")
        with tempfile.TemporaryDirectory() as empty:
            self.refused(script("fuzz", "receive_fuzz", PATH=empty), "fuzz", "apt-get")
        self.assertIn("receive_fuzz\n", script("fuzz", "--list").stdout)

    def test_soak(self):
        self.refused(script("soak", "--program", "/nowhere"), "soak", "/nowhere")
        self.refused(script("soak", "--program", program(), "--seconds", 0), "soak", "--seconds")
        done = script("soak", "--program", program(), "--seconds", 1)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("all confirmed", done.stdout)

    def test_soak_sees_what_is_lost(self):
        with tempfile.TemporaryDirectory() as folder:
            liar = pathlib.Path(folder) / "sluice-bench"
            liar.write_text(f'#!/bin/sh\n[ "$1" = load ] && exit 1\nexec {program()} "$@"\n')
            liar.chmod(0o755)
            done = script("soak", "--program", liar, "--seconds", 1)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("FAILED", done.stdout)

    def test_plot_bad_input(self):
        # Whether there is something to draw with or not.
        self.refused(script("plot", "squares"), "plot", "'squares'", "round-trips")
        self.refused(script("plot"), "plot", "what", "--help")

    def test_plot(self):
        python = next((one for one in (sys.executable, "/usr/bin/python3") if subprocess.run(
            [one, "-c", "import matplotlib"], capture_output=True, check=False).returncode == 0),
            None)
        if python is None:
            self.skipTest("no python3-matplotlib here")
        self.refused(script("plot", "sizes", "/nowhere", python=python), "plot", "/nowhere")
        for what in ("sizes", "kernels"):
            self.refused(script("plot", what, SCRIPTS / "plot", python=python), "plot",
                         "is not what")
        # The pictures are those of the figures beside them.
        docs = SCRIPTS.parent / "docs"
        with tempfile.TemporaryDirectory() as folder:
            for what, name in (("sizes", "cost-by-size"), ("connections", "cost-by-connections"),
                               ("round-trips", "round-trips")):
                done = script("plot", what, "--out", folder, docs / f"measured/{what}.json",
                              python=python)
                self.assertEqual(done.returncode, 0, done.stderr)
                same = [[line for line in (where / f"{name}.svg").read_text().splitlines()
                         if "matplotlib" not in line.lower()]
                        for where in (docs, pathlib.Path(folder))]
                self.assertEqual(*same)
        measured = subprocess.run(
            [program(), "run", "--json", "--quiet", "--rounds", "1", "--warmup", "0", "--messages",
             "200", "--receivers", "epoll-view,bare-recv", "--workloads", "bin-16,bin-1k,pp-64"],
            capture_output=True, text=True, timeout=WATCHDOG, check=True).stdout
        with tempfile.TemporaryDirectory() as folder:
            results = pathlib.Path(folder) / "results.json"
            results.write_text(measured)
            for what, name in (("sizes", "cost-by-size"), ("round-trips", "round-trips")):
                done = script("plot", what, "--out", folder, results, python=python)
                self.assertEqual(done.returncode, 0, done.stderr)
                text = (pathlib.Path(folder) / f"{name}.svg").read_text()
                xml.etree.ElementTree.fromstring(text)
                self.assertIn("Sluice, epoll", text)
                self.assertIn(json.loads(measured)["compiler"], text)


if __name__ == "__main__":
    main()
