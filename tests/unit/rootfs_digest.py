#!/usr/bin/env python3
# The root digest of firmware-measure(1), ROOT DIGEST, written anew from that page alone. usage: rootfs_digest.py FOLDER
import hashlib
import os
import stat
import struct
import sys


def text(b):
    return struct.pack(">I", len(b)) + b


def counts(name):
    if name in ("security.capability", "system.posix_acl_access", "system.posix_acl_default"):
        return True
    return name.startswith("user.") and not name.startswith(("user.overlay.", "user.containers.", "user.rootlesscontainers"))


def attributes(path):
    if os.path.islink(path):
        return text(b"")
    names = sorted(n for n in os.listxattr(path, follow_symlinks=False) if counts(n))
    return text(b"".join(text(n.encode()) + text(os.getxattr(path, n, follow_symlinks=False)) for n in names))


def entry(path, name, first):
    st = os.lstat(path)
    kinds = {stat.S_IFREG: b"f", stat.S_IFDIR: b"d", stat.S_IFLNK: b"l", stat.S_IFCHR: b"c", stat.S_IFBLK: b"b", stat.S_IFIFO: b"p"}
    kind = kinds[stat.S_IFMT(st.st_mode)]
    if kind != b"d" and (st.st_dev, st.st_ino) in first:
        return b"h" + text(name) + text(first[st.st_dev, st.st_ino])
    first[st.st_dev, st.st_ino] = name
    mode = 0o777 if kind == b"l" else stat.S_IMODE(st.st_mode) & (0o7022 if name == b"" else 0o7777)
    out = kind + text(name) + struct.pack(">III", mode, st.st_uid, st.st_gid) + attributes(path)
    if kind == b"f":
        with open(path, "rb") as f:
            content = f.read()
        out += struct.pack(">Q", len(content)) + hashlib.sha256(content).digest()
    if kind == b"l":
        out += text(os.readlink(path))
    if kind in b"cb":
        out += struct.pack(">II", os.major(st.st_rdev), os.minor(st.st_rdev))
    return out


def walk(top, name, first, h):
    path = os.path.join(top, name) if name else top
    h.update(entry(path, name, first))
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for child in sorted(os.listdir(path)):
            walk(top, name + b"/" + child if name else child, first, h)


digest = hashlib.sha256(b"assay rootfs v1\0")
walk(os.fsencode(sys.argv[1]), b"", {}, digest)
print(digest.hexdigest())
