package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

func machine() string { return runtime.GOARCH }

// mounts returns the mount points below /: they are no part of the image, and are never touched.
func mounts() (map[string]bool, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]bool{"/kaniko": true, "/busybox": true}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && fields[4] != "/" {
			out[unescape.Replace(fields[4])] = true
		}
	}
	return out, nil
}

// A root is the file system under build: / without its mounts.
type root struct {
	keep   map[string]bool // mount points
	parent map[string]bool // directories that lead to one
}

// newRoot: the build context stays too, as kaniko leaves it, so that a task can build from it again.
func newRoot(context string) (*root, error) {
	keep, err := mounts()
	if err != nil {
		return nil, err
	}
	if path, err := filepath.Abs(context); err == nil && path != "/" {
		keep[path] = true
	}
	r := &root{keep, map[string]bool{"/": true}}
	for p := range keep {
		for d := filepath.Dir(p); d != "/"; d = filepath.Dir(d) {
			r.parent[d] = true
		}
	}
	return r, nil
}

func (r *root) kept(path string) bool {
	for p := path; p != "/"; p = filepath.Dir(p) {
		if r.keep[p] {
			return true
		}
	}
	return false
}

// clear removes every file that is not on a mount.
func (r *root) clear(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		switch {
		case r.keep[path]:
			continue
		case r.parent[path]:
			err = r.clear(path)
		default:
			err = os.RemoveAll(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inside makes the path of an archive entry absolute. Its directory must not lead out through a link: since the root of
// the image is our own root, a link cannot lead anywhere but into the image or onto a mount.
func (r *root) inside(name string) (string, bool) {
	path := filepath.Join("/", name)
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path, path != "/" && !r.kept(path) && !r.parent[path]
}

func (r *root) extract(layer io.Reader) error {
	tr := tar.NewReader(layer)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		path, ok := r.inside(h.Name)
		if !ok {
			continue
		}
		if base := filepath.Base(path); strings.HasPrefix(base, ".wh.") {
			if err := r.whiteout(filepath.Dir(path), base); err != nil {
				return err
			}
			continue
		}
		if err := extractEntry(tr, h, path); err != nil {
			return fmt.Errorf("%s: %v", h.Name, err)
		}
	}
}

func (r *root) whiteout(dir, base string) error {
	if base == ".wh..wh..opq" {
		if _, err := os.Stat(dir); err != nil {
			return nil
		}
		return r.clear(dir)
	}
	target := filepath.Join(dir, strings.TrimPrefix(base, ".wh."))
	if r.kept(target) || r.parent[target] {
		return nil
	}
	return os.RemoveAll(target)
}

func extractEntry(tr io.Reader, h *tar.Header, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0755); err != nil {
		return err
	}
	mode := os.FileMode(h.Mode & 0777)
	old, err := os.Lstat(path)
	if err == nil && !(h.Typeflag == tar.TypeDir && old.IsDir()) {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		err = os.MkdirAll(path, mode)
	case tar.TypeReg, tar.TypeRegA:
		err = writeFile(path, tr, mode)
	case tar.TypeSymlink:
		err = os.Symlink(h.Linkname, path)
	case tar.TypeLink:
		return os.Link(filepath.Join("/", h.Linkname), path)
	case tar.TypeFifo:
		err = syscall.Mkfifo(path, uint32(mode))
	case tar.TypeChar, tar.TypeBlock:
		kind := map[byte]uint32{tar.TypeChar: syscall.S_IFCHR, tar.TypeBlock: syscall.S_IFBLK}[h.Typeflag]
		err = syscall.Mknod(path, kind|uint32(mode), int(h.Devmajor<<8|h.Devminor))
	default:
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Lchown(path, h.Uid, h.Gid); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	if err := syscall.Chmod(path, uint32(h.Mode&07777)); err != nil {
		return err
	}
	return os.Chtimes(path, h.ModTime, h.ModTime)
}

func writeFile(path string, from io.Reader, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// What a snapshot remembers of a file. The change time alone would do, were it not for a coarse clock.
type fileState struct {
	mode, uid, gid uint32
	ino            uint64
	size           int64
	mtime, ctime   int64
}

func (r *root) snapshot() (map[string]fileState, error) {
	out := map[string]fileState{}
	err := filepath.WalkDir("/", func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if path == "/" {
			return nil
		}
		if r.keep[path] {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return nil
		}
		s := fileState{mode: st.Mode, uid: st.Uid, gid: st.Gid}
		if !d.IsDir() {
			s.ino, s.size, s.mtime, s.ctime = st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()
		}
		out[path] = s
		return nil
	})
	return out, err
}

// A layer is a compressed archive in a file of ours, with both digests an image needs.
type layer struct {
	path    string
	digest  string
	diffID  string
	size    int64
	entries int
}

type countingHash struct {
	hash.Hash
	n int64
}

func (c *countingHash) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Hash.Write(p)
}

func (c *countingHash) digest() string { return "sha256:" + hex.EncodeToString(c.Sum(nil)) }

// diff writes what changed from before to after as a layer: new and changed files, and a whiteout for each removed one.
func (r *root) diff(before, after map[string]fileState, file string) (*layer, error) {
	var names []string
	for path, s := range after {
		if old, was := before[path]; (!was || old != s) && !r.parent[path] {
			names = append(names, path)
		}
	}
	for path := range before {
		_, still := after[path]
		_, parentStill := after[filepath.Dir(path)]
		if !still && (parentStill || filepath.Dir(path) == "/") {
			names = append(names, filepath.Join(filepath.Dir(path), ".wh."+filepath.Base(path)))
		}
	}
	sort.Strings(names)
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed, plain := &countingHash{Hash: sha256.New()}, &countingHash{Hash: sha256.New()}
	zip := gzip.NewWriter(io.MultiWriter(f, packed))
	tw := tar.NewWriter(io.MultiWriter(zip, plain))
	for _, name := range names {
		if err := addEntry(tw, name); err != nil {
			return nil, fmt.Errorf("layer: %s: %v", name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return &layer{file, packed.digest(), plain.digest(), packed.n, len(names)}, nil
}

func addEntry(tw *tar.Writer, path string) error {
	if strings.HasPrefix(filepath.Base(path), ".wh.") {
		return tw.WriteHeader(&tar.Header{Name: path[1:], Typeflag: tar.TypeReg, Mode: 0600})
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket != 0 {
		return nil
	}
	link := ""
	if info.Mode()&os.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname = path[1:], "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg || h.Size == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(tw, f, h.Size)
	return err
}
