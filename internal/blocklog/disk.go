//go:build linux

package blocklog

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Disk is a FUSE file system of one file, which is a disk. Safe for concurrent use.
type Disk struct {
	fs.Inode

	mu        sync.Mutex
	data      []byte
	recording bool
	log       Log
	server    *fuse.Server
	dir       string
}

var _ = fs.NodeOnAdder((*Disk)(nil))

// Serve mounts a disk of these bytes, which it takes over, at dir. The caller must be root, and must not be the process whose
// memory maps lie on the disk: a page fault of it would wait for itself.
func Serve(dir string, data []byte) (*Disk, error) {
	d := &Disk{data: data, dir: dir}
	server, err := fs.Mount(dir, d, &fs.Options{MountOptions: fuse.MountOptions{
		DirectMountStrict: true, SingleThreaded: true, FsName: "sallyport-disk", Name: "blocklog", MaxWrite: 128 << 10,
	}})
	if err != nil {
		return nil, err
	}
	d.server = server
	return d, nil
}

// File is the name of the one file.
func (d *Disk) File() string { return filepath.Join(d.dir, "disk") }

// OnAdd makes the one file.
func (d *Disk) OnAdd(ctx context.Context) {
	d.AddChild("disk", d.NewPersistentInode(ctx, &image{disk: d}, fs.StableAttr{Mode: syscall.S_IFREG}), false)
}

// Begin gives a copy of the disk as it is and starts the log.
func (d *Disk) Begin() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recording = true
	return slices.Clone(d.data)
}

// At is the number of entries so far: whatever was acknowledged before now has to rest on them.
func (d *Disk) At() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// Close unmounts and gives the log.
func (d *Disk) Close() (Log, error) {
	err := d.server.Unmount()
	if err == nil {
		d.server.Wait()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log, err
}

// image is the one file.
type image struct {
	fs.Inode
	disk *Disk
}

var (
	_ = fs.NodeOpener((*image)(nil))
	_ = fs.NodeReader((*image)(nil))
	_ = fs.NodeWriter((*image)(nil))
	_ = fs.NodeFsyncer((*image)(nil))
	_ = fs.NodeGetattrer((*image)(nil))
)

// Open lets anybody.
func (f *image) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

// Getattr gives the size.
func (f *image) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode, out.Size = syscall.S_IFREG|0o600, uint64(len(f.disk.data))
	return 0
}

// Read gives bytes.
func (f *image) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.disk.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, f.disk.data[off:])]), 0
}

// Write takes bytes and logs them.
func (f *image) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if off < 0 || off+int64(len(data)) > int64(len(d.data)) {
		return 0, syscall.ENOSPC
	}
	copy(d.data[off:], data)
	if d.recording {
		d.log = append(d.log, Entry{Offset: off, Data: slices.Clone(data)})
	}
	return uint32(len(data)), 0
}

// Fsync is the flush: a loop device turns each flush of the file system on it into one.
func (f *image) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	d := f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.recording {
		d.log = append(d.log, Entry{Flush: true})
	}
	return 0
}

// Usable tells why a disk cannot be recorded here; nil when it can.
func Usable() error {
	for _, path := range []string{"/dev/fuse", "/dev/loop-control"} {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		f.Close()
	}
	if os.Geteuid() != 0 {
		return syscall.EPERM
	}
	return makesFileSystems()
}
