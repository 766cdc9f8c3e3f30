"""Locks between real processes: writers, readers, links, killed holders, disks without locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hcs.errors import LockedError, StorageError
from hcs.io.files import leases
from hcs.io.files.paths import sidecar
from hcs.io.runs.locks import locked, reading

HOLD = """
import sys, time
from hcs.io.runs.locks import locked, reading
with globals()[sys.argv[1]](*sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.readline()
"""

NO_FLOCK = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.{name}, "no locks here")
fcntl.flock = flock
"""

IN_MANY_WAYS = ["flock", "lease"]


@contextmanager
def held(how: str, *paths: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lock for the block."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, how, *map(str, paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


def refuse_flock(*_):
    raise OSError(errno.ENOLCK, "no locks here")


@pytest.fixture(params=IN_MANY_WAYS)
def elsewhere(request, tmp_path, monkeypatch) -> dict[str, str]:
    """Environment of the other process; both have a file system with locks, or both one without."""
    if request.param == "flock":
        return {}
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_FLOCK.format(name="ENOLCK"))
    monkeypatch.setattr(fcntl, "flock", refuse_flock)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture
def out(tmp_path) -> Path:
    path = tmp_path / "P.zarr"
    sidecar(path).mkdir()
    return path


# ── writers and readers ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("first", "second", "doing"),
    [
        pytest.param("locked", locked, "written", id="writer-writer"),
        pytest.param("locked", reading, "written", id="writer-reader"),
        pytest.param("reading", locked, "read", id="reader-writer"),
    ],
)
def test_what_another_process_holds_is_refused_with_its_name(out, elsewhere, first, second, doing):
    with held(first, out, **elsewhere) as holder:
        told = f"P.zarr is being {doing} by another run .*process {holder.pid} on"
        with pytest.raises(LockedError, match=told), second(out):
            pass
    with second(out):
        pass


def test_many_may_read(out, elsewhere):
    with held("reading", out, **elsewhere), held("reading", out, **elsewhere), reading(out):
        pass


def test_a_refused_lock_leaves_nothing_behind(out, elsewhere):
    with held("reading", out, **elsewhere), pytest.raises(LockedError), locked(out):
        pass
    assert not list(sidecar(out).glob("lock.*.write"))


def test_of_two_outputs_all_or_none_are_held(tmp_path, elsewhere):
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    with held("locked", second, **elsewhere) as holder:
        with pytest.raises(LockedError, match=r"b\.parquet"), locked(first, second):
            pass
        with locked(first), held("reading", tmp_path / "none.parquet", **elsewhere):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with locked(first, second), pytest.raises(AssertionError, match="held"):  # it is refused
        held("locked", second, **elsewhere).__enter__()


@pytest.mark.parametrize("how", ["locked", "reading"])
def test_a_killed_holder_is_gone_at_once(out, elsewhere, how):
    with held(how, out, **elsewhere) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with locked(out), reading(out):
            pass
    assert not list(sidecar(out).glob("lock.*"))


# ── within one process ──────────────────────────────────────────────────────────────────────────


def test_who_writes_an_output_may_read_it(out, elsewhere):
    with locked(out), reading(out, out), reading(out):
        pass
    with held("locked", out, **elsewhere):
        pass


def test_within_a_process_nothing_waits_for_itself(out, elsewhere):
    with locked(out), pytest.raises(LockedError, match=f"process {os.getpid()}"), locked(out):
        pass
    with reading(out), pytest.raises(LockedError, match="being read"), locked(out):
        pass
    for _ in range(2):  # the stages of a study, one after the other
        with locked(out), reading(out):
            pass


# ── links ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("there", [True, False], ids=["plate-exists", "plate-to-come"])
def test_an_output_has_one_lock_by_whatever_name(tmp_path, out, elsewhere, there):
    if there:
        out.mkdir()
    link, folder = tmp_path / "Q.zarr", tmp_path / "linked"
    link.symlink_to("P.zarr")
    folder.symlink_to(tmp_path)
    assert Path(sidecar(link)).samefile(sidecar(out))
    for name in (link, folder / "P.zarr", folder / "Q.zarr"):
        with held("locked", out, **elsewhere), pytest.raises(LockedError), locked(name):
            pass
    with locked(out, link, folder / "Q.zarr"), reading(link):
        pass


# ── disks ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_without_locks_is_no_end(out, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(out):
        assert len(list(sidecar(out).glob("lock.*.write"))) == 1
    assert not list(sidecar(out).glob("lock.*"))


def test_a_machine_with_locks_sees_the_lease_of_one_without(out, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_FLOCK.format(name="ENOLCK"))
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    with held("locked", out, PYTHONPATH=paths):
        for take in (locked, reading):
            with pytest.raises(LockedError), take(out):
                pass


def lease_of_another_machine(out: Path, silent_seconds: float) -> Path:
    lease = sidecar(out) / f"lock.{'0a' * 16}.write"
    lease.write_text('{"token": "x", "process": 1, "machine": "other", "boot": "b"}')
    before = time.time() - silent_seconds
    os.utime(lease, (before, before))
    return lease


def test_a_lease_that_was_silent_for_two_minutes_is_taken_over(out, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refuse_flock)
    lease = lease_of_another_machine(out, 100)
    with pytest.raises(LockedError, match="process 1 on other"), locked(out):
        pass
    lease = lease_of_another_machine(out, 121)
    with locked(out):
        assert not lease.exists()


def test_a_lease_is_renewed_while_it_is_held(out, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", refuse_flock)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    with locked(out):
        (lease,) = sidecar(out).glob("lock.*.write")
        os.utime(lease, (0, 0))
        deadline = time.monotonic() + 10
        while lease.stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_reader_makes_no_folder_beside_what_is_not_ours(tmp_path):
    with reading(tmp_path / "raw", tmp_path / "none.csv"):
        pass
    assert not list(tmp_path.iterdir())


READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77
exec "$PYTHON" -c "$2" reading "$1/P.zarr" "$1/copied.zarr" </dev/null
"""


@pytest.mark.parametrize("marked", [True, False], ids=["with-a-lock", "without"])
def test_a_read_only_disk_is_read_without_a_lock(out, tmp_path, marked):
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount without being root")
    if marked:
        (sidecar(out) / "lock").touch()
    sidecar(tmp_path / "copied.zarr").mkdir()
    shell = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", READ_ONLY, "bash"]
    done = subprocess.run(
        [*shell, str(tmp_path), HOLD],
        env={**os.environ, "PYTHON": sys.executable},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode in {1, 77} and "mount" in done.stderr:
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_lock_that_is_none_is_said(out, tmp_path, kind):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    lock = sidecar(out) / "lock"
    if kind == "link":
        lock.symlink_to(precious)
    else:
        lock.mkdir()
    with ExitStack() as stack, pytest.raises(StorageError, match="not the lock of a run"):
        stack.enter_context(locked(out))
    assert precious.read_text() == "kept"


# ── object stores ───────────────────────────────────────────────────────────────────────────────


def test_what_is_being_written_on_an_object_store_is_not_read(request):
    out = f"memory://{request.node.name}/P.zarr"
    lock = sidecar(out) / "lock"
    holder = {"token": "x", "process": 1, "machine": "other", "renewed": time.time() - 100}
    lock.write_text(json.dumps(holder))
    with pytest.raises(LockedError, match=r"written by .*process 1 on other"), reading(out):
        pass
    lock.write_text(json.dumps({**holder, "renewed": time.time() - 121}))
    with reading(out), reading(out):
        pass
    with locked(out), reading(out):
        assert json.loads(lock.read_text())["process"] == os.getpid()
    assert not lock.exists()
