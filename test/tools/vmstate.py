#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The state of a VM's process, to be compared before and after updates.

    cprctl status --json PID | vmstate.py take PID >FILE     what it is like now
    vmstate.py compare BEFORE AFTER                          prints what differs; exits with 1 if anything does

What may differ, and why, is in the functions named "explained_…". All else must be the same: preserved descriptors with number,
object, flags, offset, locks and terminal settings; others by how many there are of a kind; records of the descriptor table;
RAM blocks; files mapped; threads with their signal masks; signals ignored and caught; and what the process uses.
"""
import collections
import ctypes
import json
import os
import re
import sys
import termios

SYS_PIDFD_GETFD = 438
# How much more memory may be found. Stacks of threads that have ended are kept, up to 40 MiB (glibc's nptl.stack_cache_size).
# Where memory is locked all of the heap is there, also what malloc_trim() leaves at its end: up to 4 MiB (QEMU's util/rcu.c).
NOISE_KIB = {"use.private_kib": 1 << 10, "use.locked_kib": 5 << 10, "use.memfd_kib": 1 << 10, "use.reserved_kib": 48 << 10}
# HEAP_MAX_SIZE (glibc's malloc/arena.c): the reach of an arena's heap, aligned to as much.
ARENA_HEAP = 64 << 20


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def fields(text):
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def terminal(pid, fd):
    """Settings of a terminal: by a copy of the descriptor, since opening /dev/ptmx would make another."""
    own = ctypes.CDLL(None).syscall(SYS_PIDFD_GETFD, os.pidfd_open(pid), fd, 0)
    if own < 0:
        return None
    try:
        attributes = termios.tcgetattr(own)
        return attributes[:6] + [[int.from_bytes(c, "big") if isinstance(c, bytes) else c for c in attributes[6]]]
    except termios.error:
        return None
    finally:
        os.close(own)


def descriptor(pid, planned):
    fd = planned["fd"]
    info = read(f"/proc/{pid}/fdinfo/{fd}")
    entry = {"kind": planned["kind"], "target": planned["detail"], "flags": fields(info).get("flags", "").strip(),
             "pos": fields(info).get("pos", "").strip()}
    # "lock: 1: OFDLCK ADVISORY READ -1 fe:00:1234 100 100": the first number is the line's. The process may be another one.
    locks = sorted(re.sub(r"^lock:\s*\d+:\s*", "", line).replace(f" {pid} ", " PID ")
                   for line in info.splitlines() if line.startswith("lock:"))
    settings = terminal(pid, fd) if planned["kind"] in ("pty-master", "terminal", "stdio") else None
    return {**entry, **({"locks": locks} if locks else {}), **({"termios": settings} if settings else {})}


def explained_number(text):
    """Sockets and pipes that a new QEMU makes for itself have other inodes, and ports that the kernel chose."""
    return re.sub(r"\[\d+\]", "[N]", text)


def descriptors(pid, status):
    kept, others, inherited = {}, collections.Counter(), {r["fd"] for r in status["descriptors"] if "inherited" in r["flags"]}
    for planned in status["plan"]:
        entry = descriptor(pid, planned)
        # Ours lie at high numbers, in an order that says nothing.
        if planned["action"] == "preserve" and planned["kind"] not in ("cprshim", "guest-ram"):
            # An object keeps its number where a user has chosen that; QEMU takes the next free one for the rest.
            name = f"{planned['fd']} {entry['target']}" if planned["fd"] in inherited else entry["target"]
            while name in kept:
                name += " again"
            kept[name] = entry
        else:
            locks = " ".join(entry.get("locks", []))
            others[f"{planned['action']} {entry['kind']} {explained_number(entry['target'])} {entry['flags']} {locks}"] += 1
    return kept, others


def explained_record(record):
    """Records are numbered as they are made; those of what is not preserved tell numbers that may be others next time."""
    return {key: value for key, value in record.items() if key not in ("seq", "fd", "parent")}


def records(status):
    return collections.Counter(json.dumps(explained_record(record), sort_keys=True) for record in status["descriptors"])


def mappings(pid):
    """How many there are of each file, and their size. Anonymous ones are counted by what they use."""
    count, size = collections.Counter(), collections.Counter()
    for line in read(f"/proc/{pid}/maps").splitlines():
        words = line.split(None, 5)
        if len(words) == 6:
            start, end = (int(address, 16) for address in words[0].split("-"))
            key = f"{words[5]} {words[1]}"
            count[key] += 1
            size[key] += end - start
    return {key: [count[key], size[key]] for key in count if not key.startswith("[heap]")}


def space(pid):
    """Address space that is taken, in KiB, and in how many mappings; without the arenas of malloc(), as many as threads met in it."""
    total, count, above = 0, 0, None
    for line in reversed(read(f"/proc/{pid}/maps").splitlines()):
        words = line.split(None, 5)
        start, end = (int(address, 16) for address in words[0].split("-"))
        total, count = total + end - start, count + 1
        anonymous = len(words) == 5
        if anonymous and words[1] == "rw-p" and start % ARENA_HEAP == 0 and above == (end, start + ARENA_HEAP):
            total, count = total - ARENA_HEAP, count - 2
        above = (start, end) if anonymous and words[1] == "---p" else None
    return total >> 10, count


def threads(pid):
    found = collections.Counter()
    for task in os.listdir(f"/proc/{pid}/task"):
        status = fields(read(f"/proc/{pid}/task/{task}/status"))
        if status:
            found[f"{status['Name'].strip()} {status['SigBlk'].strip()}"] += 1
    return found


def use(pid, status):
    """What must not grow."""
    own = fields(read(f"/proc/{pid}/status"))
    private = "private_kib" if own["VmLck"].split()[0] == "0" else "locked_kib"
    reserved, mapped = space(pid)
    files = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:"):
                st = os.stat(f"/proc/{pid}/fd/{fd}")
                files[st.st_ino] = st.st_blocks // 2
        except OSError:
            pass
    return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "records": len(status["descriptors"]),
            "mappings": mapped, "threads": len(os.listdir(f"/proc/{pid}/task")),
            "children": sum(len(read(f"/proc/{pid}/task/{task}/children").split()) for task in os.listdir(f"/proc/{pid}/task")),
            "memfds": len(files),
            private: int(own["RssAnon"].split()[0]), "memfd_kib": sum(files.values()), "reserved_kib": reserved}


def ignored(mask):
    """Without glibc's own two, 32 and 33: some of what starts programs leaves them ignored (sysdeps/unix/sysv/linux/spawni.c)."""
    return f"{int(mask, 16) & ~(3 << 31):016x}"


def take(pid, status):
    status = status.get("data", status)
    kept, others = descriptors(pid, status)
    own = fields(read(f"/proc/{pid}/status"))
    told = ("accelerator", "blockers", "machine", "method", "name", "package", "run_state", "version")
    return {"status": {key: status[key] for key in told},
            "ram": {block["name"]: block["size"] for block in status["ram"]},
            "preserved": kept, "others": others, "records": records(status), "mappings": mappings(pid),
            "threads": threads(pid), "signals": {"SigIgn": ignored(own["SigIgn"]), **{key: own[key].strip() for key in ("SigCgt", "SigBlk")}},
            "use": use(pid, status)}


def explained_difference(key, before, after):
    """What a later state may have more of, or less."""
    # A file that is written to has a later offset.
    if key.startswith("preserved.") and key.endswith(".pos"):
        return None not in (before, after) and int(after) >= int(before)
    # What the last update left: strings that are still used, and the history, which is limited. A transfer has two states.
    if key == "mappings./memfd:cprshim-state (deleted) r--p":
        return after[0] <= 2 and after[1] <= 128 << 10
    # An idle worker of QEMU's pool ends after ten seconds (util/thread-pool.c:worker_thread).
    if key.startswith("threads.") or key == "use.threads":
        return before is not None and after < before
    # Of memory there may be less. malloc() keeps what was freed, QEMU translates what the guest runs, and the guest may write
    # to memory that it had not used.
    if key in NOISE_KIB:
        return after <= before + NOISE_KIB[key]
    # Anonymous mappings are split and merged by their protection.
    return key == "use.mappings" and after <= before + 16


def flat(value, prefix=""):
    if isinstance(value, dict):
        for key in value:
            yield from flat(value[key], f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def compare(before, after):
    old, new = dict(flat(before)), dict(flat(after))
    same = True
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if was != now and not (now is not None and explained_difference(key, was, now)):
            print(f"{key}: {was} -> {now}")
            same = False
    return same


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "take":
        json.dump(take(int(sys.argv[2]), json.load(sys.stdin)), sys.stdout, indent=1)
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        states = [json.loads(read(name)) for name in sys.argv[2:]]
        sys.exit(0 if compare(*states) else 1)
    else:
        sys.exit(__doc__)


main()
