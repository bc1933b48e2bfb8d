"""The other half of tests/support/shim.c: makes its files, sets its controls,
reads its journal after a kill -9, and takes the power away: what was not synced
is undone, all of it, none of it, or a random part in sectors of 512 bytes.

One ShimDisk for each server, over its data directory; the server is started
with `env` added to its environment."""

import mmap
import os
import shutil
import struct
import tempfile

RECORD = struct.Struct('<IIQQQQQQII')
MAGIC = 0x4d494853
SECTOR = 512
(WRITE, TRUNCATE, SYNC, CREATE, UNLINK, RENAME, SYNC_DIR) = range(1, 8)
NO_LIMIT = (1 << 64) - 1
CONTROL = struct.Struct('<IIQIIIIqII')
(TRAP_ENTRY, TRAP_ENTRY_BELOW, TRAP_SYNC_BELOW) = range(1, 4)


class Record:
    __slots__ = ('kind', 'inode', 'dir_inode', 'offset', 'new_len', 'old_size',
                 'saved', 'name', 'old')


class ShimDisk:
    """Journal, control and kept files for one directory under test. Without
    power=True there is no journal: syncs are real, and power_cut() is not for
    it; all else works."""

    def __init__(self, library, directory, power=True):
        if not os.path.isfile(library):  # the loader only warns
            raise FileNotFoundError(library)
        self.directory = os.path.realpath(directory)
        os.makedirs(self.directory, exist_ok=True)
        # Hard links to lost files need the same file system.
        self.work = tempfile.mkdtemp(prefix='shim-', dir=os.path.dirname(
            self.directory))
        self.journal = os.path.join(self.work, 'journal')
        self.kept = self.journal + '.kept'
        control = os.path.join(self.work, 'control')
        with open(control, 'wb') as out:
            out.write(CONTROL.pack(0, 0, NO_LIMIT, 0, 0, 0, 0, 0, 0, 0))
        self.file = open(control, 'r+b')
        self.control = mmap.mmap(self.file.fileno(), CONTROL.size)
        self.env = {'LD_PRELOAD': os.path.abspath(library),
                    'SHIM_DIR': self.directory, 'SHIM_CONTROL': control}
        if power:
            self.env['SHIM_JOURNAL'] = self.journal

    def fail_syncs(self, count):
        """So many of the next syncs fail: the server must end at the first."""
        self.control[0:4] = struct.pack('<I', count)

    def delay_syncs(self, us_max, us_min=0):
        """Each sync takes so long."""
        self.control[4:8] = struct.pack('<I', us_max)
        self.control[40:44] = struct.pack('<I', us_min)

    def hold_syncs(self, held):
        """No sync comes back while held."""
        self.control[44:48] = struct.pack('<I', 1 if held else 0)

    def shift_clock(self, ms):
        """The wall clock is so far ahead of (below 0: behind) the machine's."""
        self.control[32:40] = struct.pack('<q', ms)

    def heal(self):
        """No faults; the clock stays."""
        self.fail_syncs(0)
        self.delay_syncs(0)
        self.hold_syncs(False)
        self.free_bytes(NO_LIMIT)
        self.trap(0)

    def free_bytes(self, count):
        """What may still be taken of the disk; 0: full, NO_LIMIT: no limit."""
        self.control[8:16] = struct.pack('<Q', count)

    def trap(self, kind, after=0):
        """The process ends at one of the syncs that follow a new or renamed
        file (TRAP_ENTRY), one of LevelDB's (TRAP_ENTRY_BELOW) or a sync of
        such a one (TRAP_SYNC_BELOW), when so many have passed; 0: none."""
        self.control[24:32] = struct.pack('<II', kind, after)

    def syncs(self):
        return struct.unpack('<I', self.control[20:24])[0]

    def close(self):
        self.control.close()
        self.file.close()
        shutil.rmtree(self.work, ignore_errors=True)

    # ---- after the kill

    def records(self):
        if not os.path.exists(self.journal):
            return  # cut twice, and nothing ran in between
        with open(self.journal, 'rb') as f:
            data = f.read()
        at = 0
        while at + RECORD.size <= len(data):
            fields = RECORD.unpack_from(data, at)
            assert fields[0] == MAGIC, 'journal at %d' % at
            record = Record()
            (record.kind, record.inode, record.dir_inode, record.offset,
             record.new_len, record.old_size, record.saved, name_len,
             old_len) = fields[1:]
            at += RECORD.size
            record.name = data[at:at + name_len].decode()
            record.old = data[at + name_len:at + name_len + old_len]
            at += name_len + old_len
            if at > len(data):
                return  # the kill came within the journal's own write
            yield record

    def power_cut(self, mode, random):
        """mode: 'all', 'none' or 'random'. Gives what was undone, as counts,
        and starts a new journal."""
        changes, entries = {}, {}
        for record in self.records():
            if record.kind in (WRITE, TRUNCATE):
                changes.setdefault(record.inode, []).append(record)
            elif record.kind == SYNC:
                changes.pop(record.inode, None)
            elif record.kind == SYNC_DIR:
                entries.pop(record.inode, None)
            else:
                entries.setdefault(record.dir_inode, []).append(record)
        lost_bytes = lost_entries = 0
        if mode != 'none':
            paths = self.paths_by_inode()
            for inode, records in changes.items():
                if inode in paths:
                    lost_bytes += undo_changes(paths[inode], records, mode,
                                               random)
            ordered = []
            for records in entries.values():
                keep = 0 if mode == 'all' else random.randint(0, len(records))
                ordered += records[keep:]
            for record in reversed(ordered):
                self.undo_entry(record)
                lost_entries += 1
        if os.path.exists(self.journal):
            os.unlink(self.journal)
        shutil.rmtree(self.kept, ignore_errors=True)
        return {'files': len(changes), 'bytes': lost_bytes,
                'entries': lost_entries}

    def paths_by_inode(self):
        paths = {}
        for top in (self.directory, self.kept):
            for where, _, files in os.walk(top):
                for name in files:
                    path = os.path.join(where, name)
                    paths[os.stat(path).st_ino] = path
        return paths

    def undo_entry(self, record):
        saved = os.path.join(self.kept, '%d.%d' % (
            record.saved >> 32, record.saved & 0xffffffff))
        if record.kind == CREATE:
            if os.path.isdir(record.name):
                shutil.rmtree(record.name)
            elif os.path.exists(record.name):
                os.unlink(record.name)
        elif record.kind == UNLINK:
            # Not in a directory that is gone itself.
            if not os.path.exists(record.name) and os.path.isdir(
                    os.path.dirname(record.name)):
                os.link(saved, record.name)
        elif record.kind == RENAME:
            to, _, old = record.name.partition('\n')
            if os.path.exists(to):
                os.rename(to, old)
            if record.saved:
                os.link(saved, to)


def undo_changes(path, records, mode, random):
    """Puts back what stood there before, newest first."""
    undone = 0
    kept = {}  # sector -> how many of the changes it keeps
    whole = mode == 'all' or random.random() < 0.3
    with open(path, 'r+b') as f:
        for index in reversed(range(len(records))):
            record = records[index]
            old = record.old
            first = record.offset // SECTOR
            last = (record.offset + max(len(old), record.new_len
                                        if record.kind == WRITE else 0, 1) -
                    1) // SECTOR
            for sector in range(first, last + 1):
                if whole:
                    keep = 0
                else:
                    keep = kept.setdefault(
                        sector, random.choice([0, index + 1,
                                               random.randint(0, index + 1)]))
                if keep > index:
                    continue
                start = max(sector * SECTOR, record.offset)
                end = min((sector + 1) * SECTOR, record.offset + len(old))
                if end > start:
                    f.seek(start)
                    f.write(old[start - record.offset:end - record.offset])
                    undone += end - start
                # Beyond the old end there was nothing: zeros, as after a
                # length that became durable without its data.
                zero_from = max(start, record.offset + len(old))
                zero_to = min((sector + 1) * SECTOR,
                              record.offset + record.new_len)
                if record.kind == WRITE and zero_to > zero_from:
                    f.seek(zero_from)
                    f.write(bytes(zero_to - zero_from))
                    undone += zero_to - zero_from
        if whole or random.random() < 0.5:
            f.truncate(records[0].old_size)
    return undone
