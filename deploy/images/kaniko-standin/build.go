package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const buildDir = "/kaniko/build"

// The part of an image's configuration that instructions change; the rest is carried over as it came.
type runConfig struct {
	User         string              `json:"User,omitempty"`
	ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
	Env          []string            `json:"Env"`
	Entrypoint   []string            `json:"Entrypoint,omitempty"`
	Cmd          []string            `json:"Cmd,omitempty"`
	Volumes      map[string]struct{} `json:"Volumes,omitempty"`
	WorkingDir   string              `json:"WorkingDir,omitempty"`
	Labels       map[string]string   `json:"Labels,omitempty"`
	StopSignal   string              `json:"StopSignal,omitempty"`
}

type history struct {
	Created    string `json:"created,omitempty"`
	CreatedBy  string `json:"created_by,omitempty"`
	EmptyLayer bool   `json:"empty_layer,omitempty"`
}

type imageConfig struct {
	Created      string    `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       runConfig `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []history `json:"history"`
}

type build struct {
	o            *options
	root         *root
	instructions []instruction
	ignore       []ignoreRule
	args         map[string]string
	declared     map[string]bool
	config       imageConfig
	layers       []descriptor
	blobs        map[string]string // digest -> file of ours
	before       map[string]fileState
}

// newBuild reads everything it can be wrong about before the root is touched.
func newBuild(o *options) (*build, error) {
	b := &build{o: o, args: map[string]string{}, declared: map[string]bool{}, blobs: map[string]string{}}
	var err error
	if b.root, err = newRoot(o.context); err != nil {
		return nil, err
	}
	file := o.dockerfile
	if file == "" {
		file = "Dockerfile"
	}
	if !filepath.IsAbs(file) {
		if _, err := os.Stat(filepath.Join(o.context, file)); err == nil || o.dockerfile == "" {
			file = filepath.Join(o.context, file)
		}
	}
	if b.instructions, err = parseDockerfile(file); err != nil {
		return nil, err
	}
	if b.ignore, err = readIgnore(filepath.Join(o.context, ".dockerignore")); err != nil {
		return nil, err
	}
	for _, a := range o.buildArgs {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			value = os.Getenv(name)
		}
		b.args[name] = value
	}
	return b, b.check()
}

func (b *build) check() error {
	stages := 0
	for _, in := range b.instructions {
		switch in.word {
		case "FROM":
			stages++
		case "ARG":
			continue
		case "COPY", "ADD", "RUN", "ENV", "WORKDIR", "CMD", "ENTRYPOINT", "EXPOSE", "LABEL", "USER", "VOLUME",
			"STOPSIGNAL", "MAINTAINER":
		default:
			return fmt.Errorf("Dockerfile:%d: unknown instruction %s", in.line, in.word)
		}
		if stages == 0 {
			return fmt.Errorf("Dockerfile:%d: %s stands before FROM", in.line, in.word)
		}
		if stages > 1 {
			return fmt.Errorf("Dockerfile:%d: this executor builds Dockerfiles of one stage only", in.line)
		}
	}
	if stages == 0 {
		return errors.New("the Dockerfile has no FROM")
	}
	return nil
}

// value is what $NAME means at this point: the environment of the image, else a declared build argument.
func (b *build) value(name string) string {
	for _, e := range b.config.Config.Env {
		if k, v, _ := strings.Cut(e, "="); k == name {
			return v
		}
	}
	if b.declared[name] {
		return b.args[name]
	}
	return ""
}

func (b *build) expand(s string) string { return expand(s, b.value) }

func (b *build) run() error {
	// The context may be the root itself, which is about to go.
	if err := os.RemoveAll(buildDir); err != nil {
		return err
	}
	if err := os.MkdirAll(buildDir, 0700); err != nil {
		return err
	}
	if err := b.saveContext(); err != nil {
		return fmt.Errorf("context %s: %v", b.o.context, err)
	}
	for _, in := range b.instructions {
		if err := b.step(in); err != nil {
			return fmt.Errorf("Dockerfile:%d: %s: %v", in.line, in.word, err)
		}
	}
	for _, l := range b.o.labels {
		if k, v, ok := strings.Cut(l, "="); ok {
			b.label(k, v)
		}
	}
	return os.RemoveAll(filepath.Join(buildDir, "context"))
}

func (b *build) saveContext() error {
	return copyTree(b.o.context, filepath.Join(buildDir, "context"), func(rel string) bool {
		return ignored(b.ignore, rel)
	}, -1, -1)
}

func (b *build) step(in instruction) error {
	fmt.Printf("INFO %s %s\n", in.word, in.rest)
	c := &b.config.Config
	switch in.word {
	case "ARG":
		name, value, given := strings.Cut(b.expand(in.rest), "=")
		b.declared[name] = true
		if _, set := b.args[name]; !set && given {
			b.args[name] = strings.Trim(value, `"'`)
		}
		return nil
	case "FROM":
		return b.from(in.rest)
	case "COPY", "ADD":
		return b.layer(in, func() error { return b.copy(in.word, in.rest) })
	case "RUN":
		return b.layer(in, func() error { return b.runCommand(in.rest) })
	case "WORKDIR":
		dir := b.expand(in.rest)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join("/", c.WorkingDir, dir)
		}
		c.WorkingDir = filepath.Clean(dir)
		return b.layer(in, func() error { return os.MkdirAll(c.WorkingDir, 0755) })
	case "ENV", "LABEL":
		list, err := pairs(in.rest)
		if err != nil {
			return err
		}
		for i, p := range list {
			list[i] = [2]string{b.expand(p[0]), b.expand(p[1])}
		}
		for _, p := range list {
			if in.word == "ENV" {
				b.setEnv(p[0], p[1])
			} else {
				b.label(p[0], p[1])
			}
		}
	case "CMD":
		c.Cmd = shellForm(in.rest)
	case "ENTRYPOINT":
		c.Entrypoint, c.Cmd = shellForm(in.rest), nil
	case "USER":
		c.User = b.expand(in.rest)
	case "STOPSIGNAL":
		c.StopSignal = b.expand(in.rest)
	case "EXPOSE":
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		for _, p := range strings.Fields(b.expand(in.rest)) {
			if !strings.Contains(p, "/") {
				p += "/tcp"
			}
			c.ExposedPorts[p] = struct{}{}
		}
	case "VOLUME":
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		list, ok := jsonArray(in.rest)
		if !ok {
			list = strings.Fields(in.rest)
		}
		for _, v := range list {
			c.Volumes[b.expand(v)] = struct{}{}
		}
	}
	b.addHistory(in, true)
	return nil
}

func shellForm(s string) []string {
	if list, ok := jsonArray(s); ok {
		return list
	}
	return []string{"/bin/sh", "-c", s}
}

func (b *build) setEnv(name, value string) {
	env := &b.config.Config.Env
	for i, e := range *env {
		if strings.HasPrefix(e, name+"=") {
			(*env)[i] = name + "=" + value
			return
		}
	}
	*env = append(*env, name+"="+value)
}

func (b *build) label(name, value string) {
	if b.config.Config.Labels == nil {
		b.config.Config.Labels = map[string]string{}
	}
	b.config.Config.Labels[name] = value
}

func (b *build) addHistory(in instruction, empty bool) {
	b.config.History = append(b.config.History, history{time.Now().UTC().Format(time.RFC3339),
		in.word + " " + in.rest, empty})
}

// from replaces the root by the base image.
func (b *build) from(name string) error {
	name = b.expand(name)
	if fields := strings.Fields(name); len(fields) == 0 || (len(fields) != 1 && len(fields) != 3) {
		return fmt.Errorf("%q is not the name of an image", name)
	} else {
		name = fields[0]
	}
	b.config = imageConfig{Architecture: machine(), OS: "linux"}
	b.config.RootFS.Type = "layers"
	var m *manifest
	var reg *registry
	if name != "scratch" {
		var err error
		if reg, m, err = b.findBase(name); err != nil {
			return err
		}
	}
	if err := b.root.clear("/"); err != nil {
		return fmt.Errorf("clearing the root: %v", err)
	}
	if m != nil {
		if err := b.unpackBase(reg, m); err != nil {
			return err
		}
	}
	if len(b.config.Config.Env) == 0 {
		b.setEnv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
	// Commands of RUN may want these; they are no change of theirs.
	for _, dir := range []string{"/tmp", "/root", b.config.Config.WorkingDir} {
		if _, err := os.Stat(filepath.Join("/", dir)); name != "scratch" && err != nil {
			if err := os.MkdirAll(filepath.Join("/", dir), 0755); err != nil {
				return err
			}
		}
	}
	var err error
	b.before, err = b.root.snapshot()
	return err
}

// findBase asks the mirrors first when the name means the public registry.
func (b *build) findBase(name string) (*registry, *manifest, error) {
	ref, err := parseReference(name)
	if err != nil {
		return nil, nil, err
	}
	var failures []string
	hosts := []string{ref.host}
	if ref.host == "index.docker.io" {
		hosts = append(b.mirrorHosts(), ref.host)
	}
	for _, host := range hosts {
		r := ref
		r.host = host
		reg, err := newRegistry(r, b.o.insecure || b.o.insecurePull)
		if err != nil {
			return nil, nil, err
		}
		m, err := reg.getManifest(r.tag)
		if err == nil {
			fmt.Printf("INFO Base image %s\n", r)
			return reg, m, nil
		}
		failures = append(failures, fmt.Sprintf("%s: %v", r, err))
	}
	return nil, nil, fmt.Errorf("no registry has the base image: %s", strings.Join(failures, "; "))
}

func (b *build) mirrorHosts() []string {
	var out []string
	for _, m := range b.o.mirrors {
		if m = strings.TrimSpace(m); m != "" {
			out = append(out, m)
		}
	}
	return out
}

func (b *build) unpackBase(reg *registry, m *manifest) error {
	body, err := reg.getBlob(m.Config)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(body, manifestLimit))
	body.Close()
	if err != nil {
		return err
	}
	if digestOf(data) != m.Config.Digest {
		return errors.New("the configuration's content is not that of its digest")
	}
	if err := json.Unmarshal(data, &b.config); err != nil {
		return fmt.Errorf("configuration: %v", err)
	}
	for _, l := range m.Layers {
		if err := b.unpackLayer(reg, l); err != nil {
			return fmt.Errorf("layer %s: %v", l.Digest, err)
		}
	}
	return nil
}

func (b *build) unpackLayer(reg *registry, d descriptor) error {
	path, err := b.fetchLayer(reg, d)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var plain io.Reader = f
	if !strings.HasSuffix(d.MediaType, ".tar") {
		if plain, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	if err := b.root.extract(plain); err != nil {
		return err
	}
	b.blobs[d.Digest] = path
	if d.MediaType == "application/vnd.oci.image.layer.v1.tar+gzip" {
		d.MediaType = typeLayer
	}
	b.layers = append(b.layers, d)
	return nil
}

// fetchLayer keeps the layer in a file until it is pushed: nothing is unpacked before its digest is known to be right.
func (b *build) fetchLayer(reg *registry, d descriptor) (string, error) {
	body, err := reg.getBlob(d)
	if err != nil {
		return "", err
	}
	defer body.Close()
	path := filepath.Join(buildDir, strconv.Itoa(len(b.layers))+".base")
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), body); err != nil {
		return "", err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != d.Digest {
		return "", fmt.Errorf("its content is that of %s", got)
	}
	return path, nil
}

// layer runs an instruction that changes files, and makes a layer of what changed.
func (b *build) layer(in instruction, change func() error) error {
	if err := change(); err != nil {
		return err
	}
	after, err := b.root.snapshot()
	if err != nil {
		return err
	}
	l, err := b.root.diff(b.before, after, filepath.Join(buildDir, strconv.Itoa(len(b.layers))+".new"))
	if err != nil {
		return err
	}
	b.before = after
	if l.entries > 0 {
		b.blobs[l.digest] = l.path
		b.layers = append(b.layers, descriptor{typeLayer, l.size, l.digest})
		b.config.RootFS.DiffIDs = append(b.config.RootFS.DiffIDs, l.diffID)
	}
	b.addHistory(in, l.entries == 0)
	return nil
}

func (b *build) runCommand(rest string) error {
	args := shellForm(rest)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = filepath.Join("/", b.config.Config.WorkingDir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(cmd.Env, b.config.Config.Env...)
	for name := range b.declared {
		if b.value(name) == b.args[name] {
			cmd.Env = append(cmd.Env, name+"="+b.args[name])
		}
	}
	home := "/root"
	if b.config.Config.User != "" {
		uid, gid, dir, err := lookupUser(b.config.Config.User)
		if err != nil {
			return err
		}
		home = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	if b.value("HOME") == "" {
		cmd.Env = append(cmd.Env, "HOME="+home)
	}
	if !strings.Contains(args[0], "/") {
		if path, err := b.lookPath(args[0]); err == nil {
			cmd.Path, cmd.Err = path, nil
		}
	}
	return cmd.Run()
}

func (b *build) lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(b.value("PATH")) {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode()&0111 != 0 && !st.IsDir() {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// lookupUser reads USER[:GROUP], names or numbers, in the image's own files.
func lookupUser(spec string) (uint32, uint32, string, error) {
	name, group, _ := strings.Cut(spec, ":")
	var uid, gid uint64
	home := "/"
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err == nil {
		uid, _ = strconv.ParseUint(u.Uid, 10, 32)
		gid, _ = strconv.ParseUint(u.Gid, 10, 32)
		home = u.HomeDir
	} else if uid, err = strconv.ParseUint(name, 10, 32); err != nil {
		return 0, 0, "", fmt.Errorf("the image has no user %s", name)
	}
	if group != "" {
		if g, err := user.LookupGroup(group); err == nil {
			group = g.Gid
		}
		if gid, err = strconv.ParseUint(group, 10, 32); err != nil {
			return 0, 0, "", fmt.Errorf("the image has no group %s", group)
		}
	}
	return uint32(uid), uint32(gid), home, nil
}

// push sends the image to every destination.
func (b *build) push() error {
	b.config.Created = time.Now().UTC().Format(time.RFC3339)
	config, err := json.Marshal(b.config)
	if err != nil {
		return err
	}
	m := manifest{2, typeManifest, descriptor{typeConfig, int64(len(config)), digestOf(config)}, b.layers}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for _, d := range b.o.destinations {
		ref, err := parseReference(d)
		if err != nil {
			return err
		}
		if err := b.pushTo(ref, config, data); err != nil {
			return fmt.Errorf("pushing %s: %v", ref, err)
		}
		fmt.Printf("INFO Pushed %s@%s\n", ref, digestOf(data))
	}
	if b.o.digestFile != "" {
		return os.WriteFile(b.o.digestFile, []byte(digestOf(data)), 0644)
	}
	return nil
}

func (b *build) pushTo(ref reference, config, data []byte) error {
	reg, err := newRegistry(ref, b.o.insecure)
	if err != nil {
		return err
	}
	for _, l := range b.layers {
		path := b.blobs[l.Digest]
		body := func() (io.Reader, int64) {
			f, err := os.Open(path)
			if err != nil {
				return strings.NewReader(""), 0
			}
			return f, l.Size
		}
		if err := reg.putBlob(l.Digest, body); err != nil {
			return err
		}
	}
	if err := reg.putBlob(digestOf(config), fixed(config)); err != nil {
		return err
	}
	return reg.putManifest(data)
}
