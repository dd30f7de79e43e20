//! The tree as a mounted file system. This process serves it through `/dev/fuse`, as root.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::tree::{ROOT, Status, Tree};

/// Nothing is remembered by the kernel: this knows best.
const NOT_AT_ALL: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;

/// A mounted tree. Dropped, it is unmounted.
pub(super) struct Mounted {
    tree: Arc<Mutex<Tree>>,
    // In this order, since fields are dropped in it: the folder goes when nothing is mounted on it.
    _session: BackgroundSession,
    folder: TempDir,
}

impl Mounted {
    /// Mounts the tree.
    ///
    /// # Errors
    ///
    /// What the operating system refuses, for instance where there is no FUSE.
    pub(super) fn new(tree: Tree) -> io::Result<Mounted> {
        let folder = tempfile::tempdir()?;
        let tree = Arc::new(Mutex::new(tree));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("jobtrack-lossy".to_owned())];
        let session = fuser::spawn_mount(Lossy(Arc::clone(&tree)), folder.path(), &config)?;
        Ok(Mounted { tree, _session: session, folder })
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Works on the tree beneath.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Tree) -> T) -> T {
        work(&mut self.tree.lock())
    }
}

struct Lossy(Arc<Mutex<Tree>>);

impl Lossy {
    fn attributes(status: Status) -> FileAttr {
        let size = status.length.unwrap_or(0);
        let (kind, perm) = match status.length {
            None => (FileType::Directory, 0o755),
            Some(_) => (FileType::RegularFile, 0o644),
        };
        FileAttr {
            ino: INodeNo(status.node),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }

    fn entry(outcome: io::Result<Status>, reply: ReplyEntry) {
        match outcome {
            Ok(status) => reply.entry(&NOT_AT_ALL, &Self::attributes(status), Generation(0)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn empty(outcome: io::Result<()>, reply: ReplyEmpty) {
        match outcome {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        }
    }
}

impl Filesystem for Lossy {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        Self::entry(self.0.lock().look_up(parent.0, name), reply);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.lock().status(ino.0) {
            Ok(status) => reply.attr(&NOT_AT_ALL, &Self::attributes(status)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut tree = self.0.lock();
        let cut = size.map_or(Ok(()), |size| tree.set_length(ino.0, size));
        match cut.and_then(|()| tree.status(ino.0)) {
            Ok(status) => reply.attr(&NOT_AT_ALL, &Self::attributes(status)),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        Self::entry(self.0.lock().make(parent.0, name, true), reply);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        Self::empty(self.0.lock().remove(parent.0, name, false), reply);
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        Self::empty(self.0.lock().remove(parent.0, name, true), reply);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !flags.is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let renamed = self.0.lock().rename((parent.0, name), (newparent.0, newname));
        Self::empty(renamed, reply);
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.lock().read(ino.0, offset, u64::from(size)) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.lock().write(ino.0, offset, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error.into()),
        }
    }

    /// Whoever closes a file asks nothing of the disk.
    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        Self::empty(self.0.lock().sync(ino.0), reply);
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        Self::empty(self.0.lock().sync(ino.0), reply);
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let entries = match self.0.lock().list(ino.0) {
            Ok(entries) => entries,
            Err(error) => return reply.error(error.into()),
        };
        // What is above the root is none of its affair.
        let own = [".", ".."].map(|name| (name.into(), Status { node: ROOT, length: None }));
        let entries = own.into_iter().chain(entries).zip(1..);
        for ((name, status), next) in entries.skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let attributes = Self::attributes(status);
            if reply.add(attributes.ino, next, attributes.kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        const MANY: u64 = 1 << 20;
        reply.statfs(MANY, MANY, MANY, MANY, MANY, BLOCK, 255, BLOCK);
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.0.lock().make(parent.0, name, false) {
            Ok(status) => {
                let attributes = Self::attributes(status);
                let flags = FopenFlags::empty();
                reply.created(&NOT_AT_ALL, &attributes, Generation(0), FileHandle(0), flags);
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn fallocate(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let mut tree = self.0.lock();
        let end = offset.saturating_add(length);
        let outcome = match tree.status(ino.0) {
            Ok(status) if status.length.is_some_and(|now| now < end) => tree.set_length(ino.0, end),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        Self::empty(outcome, reply);
    }
}
