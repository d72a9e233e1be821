// Package host finds out what this machine offers: processor, cores, caches, memory, GPUs, libraries, launchers. It reads files of the system
// through an fs.FS that starts at /, so that any machine can be described in a test. It loads no library and starts no device.
package host

import (
	"io/fs"
	"path"
	"runtime"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Cores is the number of cores that this process may use: Go counts affinity masks and cgroup quotas, and GOMAXPROCS overrules both.
func Cores() int { return runtime.GOMAXPROCS(0) }

// features are those that the kernels have a use for, by the names of their vendors.
var features = []struct {
	name string
	id   cpuid.FeatureID
}{
	{"AVX2", cpuid.AVX2}, {"FMA3", cpuid.FMA3}, {"F16C", cpuid.F16C},
	{"AVX512F", cpuid.AVX512F}, {"AVX512BW", cpuid.AVX512BW}, {"AVX512DQ", cpuid.AVX512DQ}, {"AVX512VL", cpuid.AVX512VL},
	{"AVX512_VNNI", cpuid.AVX512VNNI}, {"AVX512_BF16", cpuid.AVX512BF16}, {"AVX512_FP16", cpuid.AVX512FP16},
	{"AVX_VNNI", cpuid.AVXVNNI}, {"AMX_TILE", cpuid.AMXTILE}, {"AMX_BF16", cpuid.AMXBF16}, {"AMX_INT8", cpuid.AMXINT8},
	{"ASIMD", cpuid.ASIMD}, {"SVE", cpuid.SVE},
}

// CPUFeatures lists what this processor has of the features that matter for matrix products.
func CPUFeatures() []string {
	var found []string
	for _, f := range features {
		if cpuid.CPU.Supports(f.id) {
			found = append(found, f.name)
		}
	}
	return found
}

// Caches describes the caches that core 0 sees, such as "L1d 32K", innermost first.
func Caches(root fs.FS) []string {
	dirs, _ := fs.Glob(root, "sys/devices/system/cpu/cpu0/cache/index*")
	var found []string
	for _, dir := range dirs {
		level, size := word(root, dir+"/level"), word(root, dir+"/size")
		kind := map[string]string{"Data": "d", "Instruction": "i"}[word(root, dir+"/type")]
		if level == "" || size == "" {
			continue
		}
		text := "L" + level + kind + " " + size
		if shared := word(root, dir+"/shared_cpu_list"); strings.ContainsAny(shared, ",-") {
			text += " (shared by cores " + shared + ")"
		}
		found = append(found, text)
	}
	return found
}

// NUMANodes is the number of memory nodes, at least 1.
func NUMANodes(root fs.FS) int {
	nodes, _ := fs.Glob(root, "sys/devices/system/node/node[0-9]*")
	return max(1, len(nodes))
}

// Memory is the machine's memory and what a new process can still get of it, in bytes; 0 if the system does not tell.
func Memory(root fs.FS) (total, available int64) {
	total, available = memInfo(root, "MemTotal"), memInfo(root, "MemAvailable")
	if limit, used, ok := cgroupMemory(root); ok {
		total = min(total, limit)
		available = min(available, max(0, limit-used))
	}
	return total, available
}

func memInfo(root fs.FS, key string) int64 {
	for line := range strings.Lines(text(root, "proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cgroupMemory is the tightest limit of this process's cgroup and those around it, with what is used of it.
func cgroupMemory(root fs.FS) (limit, used int64, ok bool) {
	for line := range strings.Lines(text(root, "proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, limitFile, usedFile := "sys/fs/cgroup", "memory.max", "memory.current"
		switch parts[1] {
		case "": // version 2
		case "memory":
			mount, limitFile, usedFile = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
		default:
			continue
		}
		// In a container the path may be the outside's and lead nowhere here; its own limit is then at the mount.
		for dir := path.Join(mount, path.Clean("/"+parts[2])); strings.HasPrefix(dir, mount); dir = path.Dir(dir) {
			l, err := strconv.ParseInt(word(root, dir+"/"+limitFile), 10, 64)
			if err != nil || l <= 0 || ok && l >= limit {
				continue
			}
			limit, ok = l, true
			used, _ = strconv.ParseInt(word(root, dir+"/"+usedFile), 10, 64)
		}
	}
	return limit, used, ok
}

// text is a file's content, or "" if it cannot be read.
func text(root fs.FS, name string) string {
	data, _ := fs.ReadFile(root, name)
	return string(data)
}

func word(root fs.FS, name string) string { return strings.TrimSpace(text(root, name)) }
