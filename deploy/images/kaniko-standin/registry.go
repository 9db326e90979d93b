package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
)

const (
	typeManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	typeList      = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeOCI       = "application/vnd.oci.image.manifest.v1+json"
	typeIndex     = "application/vnd.oci.image.index.v1+json"
	typeConfig    = "application/vnd.docker.container.image.v1+json"
	typeLayer     = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	manifestLimit = 4 << 20
	configPath    = "/kaniko/.docker/config.json"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	Digest    string `json:"digest"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// A reference is HOST/REPOSITORY plus a tag or a digest.
type reference struct {
	host string
	repo string
	tag  string
}

func parseReference(name string) (reference, error) {
	r := reference{host: "index.docker.io", tag: "latest"}
	if at := strings.Index(name, "@"); at >= 0 {
		r.tag, name = name[at+1:], name[:at]
	} else if colon := strings.LastIndex(name, ":"); colon > strings.LastIndex(name, "/") {
		r.tag, name = name[colon+1:], name[:colon]
	}
	first, rest, slash := strings.Cut(name, "/")
	switch {
	case slash && (strings.ContainsAny(first, ".:") || first == "localhost"):
		r.host, r.repo = first, rest
		if r.host == "docker.io" {
			r.host = "index.docker.io"
		}
	case slash:
		r.repo = name
	default:
		r.repo = "library/" + name
	}
	if r.host == "index.docker.io" && !strings.Contains(r.repo, "/") {
		r.repo = "library/" + r.repo
	}
	if !regexp.MustCompile(`^[a-z0-9]+([._/-]+[a-z0-9]+)*$`).MatchString(r.repo) || r.tag == "" {
		return r, fmt.Errorf("%q is not the name of an image", name)
	}
	return r, nil
}

func (r reference) String() string { return r.host + "/" + r.repo + ":" + r.tag }

// A registry client for one repository.
type registry struct {
	ref    reference
	base   string
	user   string
	pass   string
	bearer string
}

// Plain http is spoken to addresses of private networks and this machine, as kaniko does, and when asked for.
func scheme(host string, insecure bool) string {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	ip := net.ParseIP(name)
	if insecure || name == "localhost" || strings.HasSuffix(name, ".local") ||
		(ip != nil && (ip.IsPrivate() || ip.IsLoopback())) {
		return "http"
	}
	return "https"
}

func newRegistry(ref reference, insecure bool) (*registry, error) {
	host := ref.host
	if host == "index.docker.io" {
		host = "registry-1.docker.io"
	}
	r := &registry{ref: ref, base: scheme(host, insecure) + "://" + host}
	return r, r.readCredentials(configPath)
}

// Keys of "auths" may be a host or a whole URL: both mean the host.
func authHost(key string) string {
	if i := strings.Index(key, "://"); i >= 0 {
		key = key[i+3:]
	}
	host, _, _ := strings.Cut(key, "/")
	if host == "docker.io" || host == "registry-1.docker.io" {
		return "index.docker.io"
	}
	return host
}

func (r *registry) readCredentials(path string) error {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var c struct {
		Auths map[string]struct{ Auth, Username, Password string }
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("%s: %v", path, err)
	}
	for key, a := range c.Auths {
		if authHost(key) != r.ref.host {
			continue
		}
		r.user, r.pass = a.Username, a.Password
		if a.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(a.Auth))
			if err != nil {
				return fmt.Errorf("%s: the auth of %s is not base64", path, key)
			}
			r.user, r.pass, _ = strings.Cut(string(plain), ":")
		}
	}
	return nil
}

func (r *registry) url(path string) string { return r.base + "/v2/" + r.ref.repo + "/" + path }

// do sends a request; when the registry sends us to a token server, once more with the token. The body is a function
// since it may have to be sent twice.
func (r *registry) do(method, target string, header map[string]string, body func() (io.Reader, int64)) (*http.Response, error) {
	for attempt := 0; ; attempt++ {
		var reader io.Reader
		var size int64
		if body != nil {
			reader, size = body()
		}
		req, err := http.NewRequest(method, target, reader)
		if err != nil {
			return nil, err
		}
		req.ContentLength = size
		for k, v := range header {
			req.Header.Set(k, v)
		}
		if strings.HasPrefix(target, r.base+"/") {
			if r.bearer != "" {
				req.Header.Set("Authorization", "Bearer "+r.bearer)
			} else if r.user != "" {
				req.SetBasicAuth(r.user, r.pass)
			}
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		challenge := res.Header.Get("WWW-Authenticate")
		if res.StatusCode != 401 || attempt > 0 || !strings.HasPrefix(challenge, "Bearer ") {
			return res, nil
		}
		res.Body.Close()
		if err := r.fetchToken(challenge); err != nil {
			return nil, err
		}
	}
}

var challengeField = regexp.MustCompile(`(\w+)="([^"]*)"`)

func (r *registry) fetchToken(challenge string) error {
	query := url.Values{}
	realm := ""
	for _, m := range challengeField.FindAllStringSubmatch(challenge, -1) {
		if m[1] == "realm" {
			realm = m[2]
		} else {
			query.Set(m[1], m[2])
		}
	}
	req, err := http.NewRequest("GET", realm+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	if r.user != "" {
		req.SetBasicAuth(r.user, r.pass)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var t struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, manifestLimit)).Decode(&t); err != nil {
		return fmt.Errorf("token from %s: %v", realm, err)
	}
	if r.bearer = t.Token; r.bearer == "" {
		r.bearer = t.AccessToken
	}
	return nil
}

func refused(res *http.Response, what string) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 500))
	res.Body.Close()
	hint := ""
	if res.StatusCode == 401 || res.StatusCode == 403 {
		hint = " (credentials come from " + configPath + ")"
	}
	return fmt.Errorf("%s: %s %s%s", what, res.Status, strings.TrimSpace(string(text)), hint)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *registry) getManifest(tag string) (*manifest, error) {
	accept := strings.Join([]string{typeManifest, typeOCI, typeList, typeIndex}, ",")
	res, err := r.do("GET", r.url("manifests/"+tag), map[string]string{"Accept": accept}, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != 200 {
		return nil, refused(res, "manifest")
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, manifestLimit))
	if err != nil {
		return nil, err
	}
	var m struct {
		manifest
		Manifests []struct {
			descriptor
			Platform struct{ Architecture, OS string }
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest: %v", err)
	}
	if strings.HasPrefix(tag, "sha256:") && digestOf(data) != tag {
		return nil, fmt.Errorf("manifest: its content is not that of %s", tag)
	}
	if len(m.Manifests) == 0 {
		return &m.manifest, nil
	}
	for _, d := range m.Manifests {
		if d.Platform.OS == "linux" && d.Platform.Architecture == machine() {
			return r.getManifest(d.Digest)
		}
	}
	return nil, fmt.Errorf("there is no image for linux/%s", machine())
}

// getBlob returns the blob; closing it tells whether its content had the digest.
func (r *registry) getBlob(d descriptor) (io.ReadCloser, error) {
	res, err := r.do("GET", r.url("blobs/"+d.Digest), nil, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != 200 {
		return nil, refused(res, "blob "+d.Digest)
	}
	return res.Body, nil
}

func (r *registry) putBlob(digest string, body func() (io.Reader, int64)) error {
	res, err := r.do("HEAD", r.url("blobs/"+digest), nil, nil)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode == 200 {
		return nil
	}
	res, err = r.do("POST", r.url("blobs/uploads/"), nil, nil)
	if err != nil {
		return err
	}
	if res.StatusCode != 202 {
		return refused(res, "upload")
	}
	res.Body.Close()
	location, err := res.Location()
	if err != nil {
		return err
	}
	query := location.Query()
	query.Set("digest", digest)
	location.RawQuery = query.Encode()
	res, err = r.do("PUT", location.String(), map[string]string{"Content-Type": "application/octet-stream"}, body)
	if err != nil {
		return err
	}
	if res.StatusCode != 201 {
		return refused(res, "upload of "+digest)
	}
	return res.Body.Close()
}

func fixed(data []byte) func() (io.Reader, int64) {
	return func() (io.Reader, int64) { return bytes.NewReader(data), int64(len(data)) }
}

func (r *registry) putManifest(data []byte) error {
	res, err := r.do("PUT", r.url("manifests/"+r.ref.tag), map[string]string{"Content-Type": typeManifest}, fixed(data))
	if err != nil {
		return err
	}
	if res.StatusCode != 201 {
		return refused(res, "manifest")
	}
	return res.Body.Close()
}
