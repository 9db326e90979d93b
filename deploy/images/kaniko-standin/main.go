// Executor builds an image from a Dockerfile inside a plain container, without any privilege, the way kaniko does: it
// replaces the container's own root by the base image, runs the instructions there, and makes layers of what changed.
// It has kaniko's paths and flags, so that run definitions written for kaniko can be tried where kaniko's image cannot be
// had. Everything in the root goes but mounts, /kaniko and the context: later steps of a task must live with the base image's files.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

type options struct {
	context      string
	dockerfile   string
	destinations []string
	buildArgs    []string
	labels       []string
	mirrors      []string
	noPush       bool
	insecure     bool
	insecurePull bool
	digestFile   string
	tarPath      string
	cleanup      bool
}

// Flags of kaniko that change nothing here: there is neither a layer cache nor a choice of snapshot method.
var ignoredBool = map[string]bool{
	"cache": true, "force": true, "reproducible": true, "single-snapshot": true, "skip-tls-verify": true,
	"skip-tls-verify-pull": true, "skip-unused-stages": true, "use-new-run": true, "compressed-caching": true,
	"cache-copy-layers": true, "cache-run-layers": true, "ignore-var-run": true, "log-timestamp": true,
}

var ignoredValue = map[string]bool{
	"verbosity": true, "v": true, "log-format": true, "snapshot-mode": true, "snapshotMode": true, "cache-repo": true,
	"cache-dir": true, "cache-ttl": true, "push-retry": true, "image-fs-extract-retry": true, "custom-platform": true,
	"compression": true, "compression-level": true,
}

func parseFlags(args []string) (*options, error) {
	o := &options{context: "dir:///workspace"}
	if m := os.Getenv("KANIKO_REGISTRY_MIRROR"); m != "" {
		o.mirrors = strings.Split(m, ",")
	}
	bools := map[string]*bool{"no-push": &o.noPush, "insecure": &o.insecure, "insecure-pull": &o.insecurePull,
		"cleanup": &o.cleanup}
	texts := map[string]*string{"context": &o.context, "c": &o.context, "dockerfile": &o.dockerfile,
		"f": &o.dockerfile, "digest-file": &o.digestFile, "tarPath": &o.tarPath, "tar-path": &o.tarPath}
	lists := map[string]*[]string{"destination": &o.destinations, "d": &o.destinations,
		"build-arg": &o.buildArgs, "label": &o.labels, "registry-mirror": &o.mirrors}
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			return nil, fmt.Errorf("unknown argument %q: there are only flags", args[i])
		}
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		isBool := bools[name] != nil || ignoredBool[name]
		if isBool {
			if bools[name] != nil {
				*bools[name] = !given || value == "true"
			}
			continue
		}
		if texts[name] == nil && lists[name] == nil && !ignoredValue[name] {
			return nil, fmt.Errorf("unknown flag: %s", args[i])
		}
		if !given {
			if i++; i == len(args) {
				return nil, fmt.Errorf("flag needs an argument: --%s", name)
			}
			value = args[i]
		}
		if texts[name] != nil {
			*texts[name] = value
		} else if lists[name] != nil {
			*lists[name] = append(*lists[name], value)
		}
	}
	if !o.noPush && len(o.destinations) == 0 {
		return nil, errors.New("you must provide --destination, or use --no-push")
	}
	if o.tarPath != "" {
		return nil, errors.New("--tar-path is not supported by this executor: push to a registry instead")
	}
	if rest, isDir := cutPrefix(o.context, "dir://"); isDir {
		o.context = rest
	} else if strings.Contains(o.context, "://") {
		return nil, fmt.Errorf("context %s: only a directory is supported", o.context)
	}
	return o, nil
}

func run() error {
	o, err := parseFlags(os.Args[1:])
	if err != nil {
		return err
	}
	if os.Getuid() != 0 {
		return errors.New("the root file system is replaced, which only root can do: run the step as root")
	}
	b, err := newBuild(o)
	if err != nil {
		return err
	}
	if err := b.run(); err != nil {
		return err
	}
	if o.noPush {
		fmt.Println("INFO Skipping push to container registry due to --no-push flag")
		return nil
	}
	return b.push()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}
