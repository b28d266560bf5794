# pathlib takes longer to import than all that this program does.
# ruff: noqa: PTH100, PTH102, PTH104, PTH120, PTH122, PTH123, PTH208
"""A program that stands in for ffmpeg: what the real one did once is remembered and done again.

It runs as the product runs ffmpeg: without environment, in any folder, by `python -ISs`, from beside three things: the
link `real`, the folder `memory`, and the folder `met` of jobs that it has already troubled. A call is known again by
its arguments, with the contents of its inputs in the place of their paths. Only what a plain call of the product does
is remembered: inputs and outputs named `file:…`, an end that does not come from the machine.

A source whose title begins with `reelway-` troubles the call that makes its output (see WAYS). Nothing else imports
this module's names from the program's folder, so what is needed seldom is imported where it is needed.
"""

import errno
import marshal
import os
import sys
import time
from _blake2 import blake2b

HERE = os.path.dirname(os.path.abspath(__file__))
TITLE = b"reelway-"
WAYS = ("long", "stuck", "oom")
"""`long` takes LONG_S; `stuck` never ends and `oom` costs the whole worker, in the first call for a job."""

LONG_S = (2.0, 4.0)
STEPS = 12
"""In how many parts the output of a long one appears."""

TICK_S, MOST_TICKS = 0.25, 80
"""While the real one works for the first time, its progress is not passed on but it is told that it moves: a busy
machine may take long. The bound leaves a real one that hangs to the stall watchdog."""

BLANK_BYTES = 8 << 20
_HEAD_BYTES = 64 << 10
"""The title stands in the first bytes of a file."""

_OF_THE_MACHINE = (b"No space left", b"Disk quota", b"File too large", b"Cannot allocate", b"Input/output error")
_SCALED = (b"out_time_us=", b"out_time_ms=", b"total_size=", b"frame=")

Memory = tuple[int, bytes, bytes, tuple[bytes, ...]]
"""Exit status, stdout, stderr, and the content of each output."""


class Call:
    """One call of the program, and what it is known by."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.way = ""
        digest = blake2b(digest_size=20)
        before = ""
        for argument in arguments:
            said = argument.encode()
            if argument.startswith("file:"):
                path = argument[5:]
                suffix = os.path.splitext(path)[1].encode()
                if before == "-i":
                    self.inputs.append(path)
                    with open(path, "rb") as file:
                        content = file.read()
                    said = b"input " + suffix + blake2b(content, digest_size=20).digest()
                    self._find_way(content)
                else:
                    self.outputs.append(path)
                    said = b"output " + suffix
            digest.update(len(said).to_bytes(4, "big") + said)
            before = argument
        self.key = digest.hexdigest()
        place = (self.outputs or self.inputs or ["/"])[0]
        self.job = place.partition("/work/")[2].partition("/")[0] or blake2b(place.encode(), digest_size=8).hexdigest()

    def _find_way(self, content: bytes) -> None:
        found = content.find(TITLE, 0, _HEAD_BYTES)
        said = content[found + len(TITLE) : found + len(TITLE) + 16] if found >= 0 else b""
        self.way = next((way for way in WAYS if said.startswith(way.encode())), self.way)

    def first_of_job(self) -> bool:
        """Whether this trouble has not met the job before. A folder is made, since probes may write no file."""
        try:
            os.mkdir(f"{HERE}/met/{self.way}-{self.job}")
        except FileExistsError:
            return False
        return True

    def names(self) -> list[tuple[bytes, bytes]]:
        """Each path and what stands for it in memory, the longest first, since one may begin with another."""
        named = [(path.encode(), b"\0input %d\0" % number) for number, path in enumerate(self.inputs)]
        named += [(path.encode(), b"\0output %d\0" % number) for number, path in enumerate(self.outputs)]
        return sorted(named, key=lambda pair: -len(pair[0]))


def main() -> None:
    """Do what ffmpeg would, and end as it would."""
    try:
        call = Call(sys.argv[1:])
    except OSError:
        call = None
    if call is None or not call.inputs:
        os.execv(f"{HERE}/real", ["ffmpeg", *sys.argv[1:]])  # noqa: S606 - no shell
    troubled = call.way if call.outputs else ""
    if troubled == "oom" and call.first_of_job():
        _exhaust_memory()
    memory, fresh = recall(call), False
    if memory is None:
        memory, fresh = _run_real(call), True
    lasts_s = 0.0
    if troubled == "long" and memory[0] == 0:
        part = int(blake2b(call.job.encode(), digest_size=2).hexdigest(), 16) / 65536
        lasts_s = LONG_S[0] + part * (LONG_S[1] - LONG_S[0])
    try:
        status = _tell(call, memory, lasts_s, outputs_there=fresh and not lasts_s)
    except OSError as error:
        # As ffmpeg ends at the limit of the jail, on a full disk, or where the folder is gone.
        number = error.errno or errno.EIO
        if number == errno.EFBIG:
            _end_by(25)  # SIGXFSZ, which Python ignores
        _write(2, f"[fatal] Error opening output files: {os.strerror(number)}\n".encode())
        status = 256 - number
    os._exit(status)


def recall(call: Call) -> Memory | None:
    """What is remembered of such a call."""
    try:
        with open(f"{HERE}/memory/known/{call.key}", "rb") as file:
            memory: Memory = marshal.loads(file.read())  # noqa: S302 - written by this program
    except FileNotFoundError:
        return None
    return memory


def remember(call: Call, memory: Memory) -> None:
    """Keep it, or nothing of it.

    The product allows a reading ffmpeg to write no byte to any file (RLIMIT_FSIZE), which does not bind memory that is
    mapped from a file of sufficient size; so the content goes into a blank made beforehand.
    """
    import mmap

    content = marshal.dumps(memory)
    if len(content) > BLANK_BYTES:
        return
    for name in os.listdir(f"{HERE}/memory/blank"):
        mine = f"{HERE}/memory/claimed-{os.getpid()}"
        try:
            os.rename(f"{HERE}/memory/blank/{name}", mine)
        except FileNotFoundError:
            continue  # another call was faster
        descriptor = os.open(mine, os.O_RDWR)
        with mmap.mmap(descriptor, len(content)) as mapped:
            mapped[:] = content
        os.ftruncate(descriptor, len(content))
        os.close(descriptor)
        os.rename(mine, f"{HERE}/memory/known/{call.key}")
        return


def _run_real(call: Call) -> Memory:
    """Let the real one do it, outputs and all."""
    import ctypes
    import signal
    import subprocess

    libc, me = ctypes.CDLL(None), os.getpid()

    def die_together() -> None:
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != me:
            os._exit(127)

    process = subprocess.Popen(
        [f"{HERE}/real", *call.arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_together,
    )  # fmt: skip
    ticks = MOST_TICKS if "-progress" in call.arguments else 0
    for tick in range(ticks):
        try:
            stdout, stderr = process.communicate(timeout=TICK_S)
            break
        except subprocess.TimeoutExpired:
            _write(1, b"out_time_us=%d\nprogress=continue\n" % tick)
    else:
        stdout, stderr = process.communicate()
    status = process.returncode
    for path, name in call.names():
        stdout, stderr = stdout.replace(path, name), stderr.replace(path, name)
    outputs = []
    for output in call.outputs:
        try:
            with open(output, "rb") as file:
                outputs.append(file.read())
        except OSError:
            break
    memory: Memory = (status, stdout, stderr, tuple(outputs))
    # A failure to write is the machine's; a failure to read is the file's, and stays.
    of_the_call = len(outputs) == len(call.outputs) if status == 0 else status > 0 and not call.outputs
    if of_the_call and not any(text in stderr for text in _OF_THE_MACHINE):
        remember(call, memory)
    return memory


def _tell(call: Call, memory: Memory, lasts_s: float, *, outputs_there: bool) -> int:
    """Do what is remembered, within so long; gives the exit status. Raises OSError when an output cannot be written."""
    status, stdout, stderr, outputs = memory
    if call.outputs and call.way == "stuck" and call.first_of_job():
        _hang(call, memory)
    for path, name in call.names():
        stdout, stderr = stdout.replace(name, path), stderr.replace(name, path)
    if status < 0:
        _end_by(-status)
    _write(2, stderr)
    for output, content in zip(call.outputs, () if outputs_there else outputs, strict=False):
        _write_output(output, content, stdout, lasts_s)
    _write(1, stdout)
    return status


def _write_output(path: str, content: bytes, stdout: bytes, lasts_s: float) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    steps = STEPS if lasts_s else 1
    for step in range(steps):
        if lasts_s:
            _write(1, _progress(stdout, step / steps))
            time.sleep(lasts_s / steps)
        _write(descriptor, content[len(content) * step // steps : len(content) * (step + 1) // steps])
    os.close(descriptor)


def _progress(stdout: bytes, part: float) -> bytes:
    """The last report of ffmpeg, as it would have been at an earlier time."""
    lines = []
    for line in stdout.rpartition(b"progress=continue\n")[2].splitlines():
        name, _, value = line.partition(b"=")
        if line.startswith(_SCALED) and value.isdigit():
            lines.append(b"%s=%d" % (name, int(int(value) * part)))
        elif name == b"progress":
            lines.append(b"progress=continue")
    return b"".join(line + b"\n" for line in lines)


def _hang(call: Call, memory: Memory) -> None:
    """Half of the output is there, nothing more happens, and SIGTERM changes nothing."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for output, content in zip(call.outputs, memory[3], strict=False):
        with open(output, "wb") as file:
            file.write(content[: len(content) // 2])
    while True:
        signal.pause()


def _exhaust_memory() -> None:
    """What the kernel does when a file takes all memory: it kills the worker. Only a worker, never a test."""
    worker = os.getppid()
    with open(f"/proc/{worker}/cmdline", "rb") as file:
        if file.read().split(b"\0")[:2] != [b"reelway-transcode", b"run"]:
            return
    os.kill(worker, 9)
    time.sleep(60)  # the worker's end ends this one


def _end_by(number: int) -> None:
    import signal

    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
