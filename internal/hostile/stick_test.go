package hostile

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// stick is a mounted medium over a directory that does what a test says: every read, write, look-up and listing asks rule first.
type stick struct {
	mu   sync.Mutex
	rule func(op, name string, at int64) syscall.Errno
	ops  int
}

func (s *stick) ask(op, name string, at int64) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops++; s.rule == nil {
		return 0
	}
	return s.rule(op, name, at)
}

// does sets the rule; nil mends the stick.
func (s *stick) does(rule func(op, name string, at int64) syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rule, s.ops = rule, 0
}

type node struct {
	*fs.LoopbackNode
	s *stick
}

// WrapChild makes every file and folder below ask too.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{ops.(*fs.LoopbackNode), n.s}
}

var (
	_ fs.NodeReader      = (*node)(nil)
	_ fs.NodeWriter      = (*node)(nil)
	_ fs.NodeOpener      = (*node)(nil)
	_ fs.NodeLookuper    = (*node)(nil)
	_ fs.NodeCreater     = (*node)(nil)
	_ fs.NodeReaddirer   = (*node)(nil)
	_ fs.NodeWrapChilder = (*node)(nil)
)

func (n *node) name() string { return n.Path(n.Root()) }

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := n.s.ask("lookup", filepath.Join(n.name(), name), 0); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Lookup(ctx, name, out)
}

func (n *node) Readdir(ctx context.Context) (fs.DirStream, syscall.Errno) {
	if e := n.s.ask("list", n.name(), 0); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Readdir(ctx)
}

func (n *node) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if e := n.s.ask("open", n.name(), 0); e != 0 {
		return nil, 0, e
	}
	h, _, e := n.LoopbackNode.Open(ctx, flags)
	return h, fuse.FOPEN_DIRECT_IO, e
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if e := n.s.ask("create", filepath.Join(n.name(), name), 0); e != 0 {
		return nil, nil, 0, e
	}
	i, h, _, e := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return i, h, fuse.FOPEN_DIRECT_IO, e
}

func (n *node) Read(ctx context.Context, f fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if e := n.s.ask("read", n.name(), off); e != 0 {
		return nil, e
	}
	return f.(fs.FileReader).Read(ctx, dest, off)
}

func (n *node) Write(ctx context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if e := n.s.ask("write", n.name(), off); e != 0 {
		return 0, e
	}
	return f.(fs.FileWriter).Write(ctx, data, off)
}

// plug mounts a directory as a stick. It skips where FUSE cannot be had.
func plug(t *testing.T, dir string) (*stick, string) {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and /dev/fuse")
	} else {
		f.Close()
	}
	s, at := &stick{}, t.TempDir()
	top, err := fs.NewLoopbackRoot(dir)
	check(t, err)
	server, err := fs.Mount(at, &node{top.(*fs.LoopbackNode), s}, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "stick", Name: "stick", DisableXAttrs: true}})
	if err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	t.Cleanup(func() {
		s.does(nil)
		if err := server.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
		server.Wait()
	})
	return s, at
}

// sector makes reads of one file fail from a byte on, as a worn sector does.
func sector(suffix string, from int64) func(op, name string, at int64) syscall.Errno {
	return func(op, name string, at int64) syscall.Errno {
		if op == "read" && strings.HasSuffix(name, suffix) && at >= from {
			return syscall.EIO
		}
		return 0
	}
}

// pulled makes everything fail after so many operations.
func (s *stick) pulled(after int) {
	n := 0
	s.does(func(string, string, int64) syscall.Errno {
		if n++; n > after {
			return syscall.ENODEV
		}
		return 0
	})
}
