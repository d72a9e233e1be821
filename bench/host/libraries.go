package host

import (
	"io/fs"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// GPU is what the NVIDIA driver tells of its devices without being called.
type GPU struct {
	Driver string   // version line; "": no driver
	Models []string // one per GPU
}

var release = regexp.MustCompile(`\b\d+\.\d+(\.\d+)?\b`)

// Release is the number of the driver's release, such as 535.104.05, or "".
func (g GPU) Release() string { return release.FindString(g.Driver) }

// NVIDIA reads the driver's files.
func NVIDIA(root fs.FS) GPU {
	var g GPU
	for line := range strings.Lines(text(root, "proc/driver/nvidia/version")) {
		if version, ok := strings.CutPrefix(line, "NVRM version:"); ok {
			g.Driver = strings.Join(strings.Fields(version), " ")
		}
	}
	files, _ := fs.Glob(root, "proc/driver/nvidia/gpus/*/information")
	for _, file := range files {
		for line := range strings.Lines(text(root, file)) {
			if model, ok := strings.CutPrefix(line, "Model:"); ok {
				g.Models = append(g.Models, strings.TrimSpace(model))
			}
		}
	}
	return g
}

// Library finds a shared library by its name without version, such as "libnccl.so", where the dynamic linker would look. ldPath is the value of
// LD_LIBRARY_PATH. It returns the first path, or "".
func Library(root fs.FS, ldPath, name string) string {
	for _, dir := range libraryDirs(root, ldPath) {
		found, _ := fs.Glob(root, path.Join(strings.TrimPrefix(dir, "/"), name)+"*")
		found = slices.DeleteFunc(found, func(f string) bool {
			rest := strings.TrimPrefix(path.Base(f), name)
			return rest != "" && rest[0] != '.'
		})
		if len(found) > 0 {
			return "/" + found[0]
		}
	}
	return ""
}

func libraryDirs(root fs.FS, ldPath string) []string {
	triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	dirs := strings.FieldsFunc(ldPath, func(r rune) bool { return r == ':' })
	configs, _ := fs.Glob(root, "etc/ld.so.conf.d/*.conf")
	for _, config := range configs {
		for line := range strings.Lines(text(root, config)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "/") {
				dirs = append(dirs, line)
			}
		}
	}
	for _, base := range []string{"/lib", "/usr/lib"} {
		if triplet != "" {
			dirs = append(dirs, base+"/"+triplet)
		}
		dirs = append(dirs, base+"64", base)
	}
	return append(dirs, "/usr/local/lib", "/usr/local/cuda/lib64", "/usr/lib/wsl/lib")
}
