package main

import (
	"archive/tar"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// copy is COPY and ADD: sources inside the context (for ADD also URLs, and archives, which are unpacked).
func (b *build) copy(word, rest string) error {
	uid, gid := 0, 0
	mode := int64(-1)
	for strings.HasPrefix(rest, "--") {
		flag, more, _ := strings.Cut(rest, " ")
		rest = strings.TrimSpace(more)
		name, value, _ := strings.Cut(flag, "=")
		var err error
		switch name {
		case "--chown":
			var u, g uint32
			if u, g, _, err = lookupUser(b.expand(value)); err == nil {
				uid, gid = int(u), int(g)
			}
		case "--chmod":
			mode, err = strconv.ParseInt(value, 8, 32)
		default:
			err = errors.New("unknown flag: " + flag)
		}
		if err != nil {
			return err
		}
	}
	list, ok := jsonArray(rest)
	if !ok {
		list = words(rest)
	}
	if len(list) < 2 {
		return errors.New("a source and a destination are needed")
	}
	for i := range list {
		list[i] = b.expand(list[i])
	}
	dest := list[len(list)-1]
	intoDir := strings.HasSuffix(dest, "/") || dest == "." || strings.HasSuffix(dest, "/.")
	if !filepath.IsAbs(dest) {
		dest = filepath.Join("/", b.config.Config.WorkingDir, dest)
	}
	context := filepath.Join(buildDir, "context")
	var sources []string
	for _, s := range list[:len(list)-1] {
		if word == "ADD" && (strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")) {
			path, err := download(s)
			if err != nil {
				return err
			}
			sources = append(sources, path)
			continue
		}
		found, err := filepath.Glob(filepath.Join(context, filepath.Join("/", s)))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("%s: not in the build context (or excluded by .dockerignore)", s)
		}
		sources = append(sources, found...)
	}
	if len(sources) > 1 && !intoDir {
		return fmt.Errorf("%s: with more than one source the destination must end in /", dest)
	}
	for _, s := range sources {
		if err := copySource(word, s, dest, intoDir, uid, gid, mode); err != nil {
			return err
		}
	}
	return nil
}

func copySource(word, source, dest string, intoDir bool, uid, gid int, mode int64) error {
	st, err := os.Lstat(source)
	if err != nil {
		return err
	}
	if word == "ADD" && st.Mode().IsRegular() {
		if done, err := unpackArchive(source, dest); done || err != nil {
			return err
		}
	}
	if !st.IsDir() {
		if there, err := os.Stat(dest); intoDir || (err == nil && there.IsDir()) {
			dest = filepath.Join(dest, filepath.Base(source))
		}
	}
	if err := copyTree(source, dest, func(string) bool { return false }, uid, gid); err != nil {
		return err
	}
	if mode >= 0 {
		return syscall.Chmod(dest, uint32(mode))
	}
	return nil
}

// unpackArchive: ADD unpacks tar archives, plain or compressed; false when the file is none.
func unpackArchive(source, dest string) (bool, error) {
	for _, open := range []func(io.Reader) (io.Reader, error){
		func(r io.Reader) (io.Reader, error) { return r, nil },
		func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil },
	} {
		f, err := os.Open(source)
		if err != nil {
			return false, err
		}
		plain, err := open(f)
		if err != nil {
			f.Close()
			continue
		}
		tr := tar.NewReader(plain)
		h, err := tr.Next()
		if err != nil {
			f.Close()
			continue
		}
		for ; err == nil; h, err = tr.Next() {
			path := filepath.Join(dest, filepath.Join("/", h.Name))
			if path == "/" {
				continue
			}
			if h.Typeflag == tar.TypeLink {
				h.Linkname = filepath.Join(dest, filepath.Join("/", h.Linkname))
			}
			if err := extractEntry(tr, h, path); err != nil {
				f.Close()
				return true, fmt.Errorf("%s: %v", h.Name, err)
			}
		}
		f.Close()
		if err != io.EOF {
			return true, err
		}
		return true, nil
	}
	return false, nil
}

func download(url string) (string, error) {
	res, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		return "", refused(res, url)
	}
	dir := filepath.Join(buildDir, "download")
	if err := os.MkdirAll(dir, 0700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.Base(res.Request.URL.Path))
	os.Remove(path)
	return path, writeFile(path, res.Body, 0600)
}

// copyTree copies a file, or what is in a directory. Owner -1 keeps the owner; skip decides by the path below from.
func copyTree(from, to string, skip func(rel string) bool, uid, gid int) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/sys/") || path == "/kaniko" {
			return filepath.SkipDir
		}
		if rel != "." && skip(rel) && !d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := to
		if rel != "." {
			target = filepath.Join(to, rel)
		}
		if d.IsDir() && rel != "." && skip(rel) {
			// A later rule may bring back something below: the directory comes with it, when it does.
			return nil
		}
		return copyOne(path, target, info, uid, gid)
	})
}

func copyOne(path, target string, info os.FileInfo, uid, gid int) error {
	st := info.Sys().(*syscall.Stat_t)
	if uid < 0 {
		uid, gid = int(st.Uid), int(st.Gid)
	}
	if info.IsDir() {
		if _, err := os.Stat(target); err == nil {
			return nil
		}
		if err := os.MkdirAll(target, info.Mode().Perm()); err != nil {
			return err
		}
		return os.Chown(target, uid, gid)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0755); err != nil {
		return err
	}
	if err := os.RemoveAll(target); err != nil {
		return err
	}
	if info.Mode()&os.ModeSymlink != 0 {
		link, err := os.Readlink(path)
		if err != nil {
			return err
		}
		if err := os.Symlink(link, target); err != nil {
			return err
		}
		return os.Lchown(target, uid, gid)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeFile(target, f, info.Mode().Perm()); err != nil {
		return err
	}
	if err := os.Chown(target, uid, gid); err != nil {
		return err
	}
	if err := syscall.Chmod(target, st.Mode&07777); err != nil {
		return err
	}
	return os.Chtimes(target, info.ModTime(), info.ModTime())
}
