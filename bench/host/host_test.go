package host

import (
	"slices"
	"testing"
	"testing/fstest"
)

// files makes a file system of paths and contents.
func files(content map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range content {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestMemory(t *testing.T) {
	const meminfo = "MemTotal:       8000 kB\nMemFree:  1 kB\nMemAvailable:    6000 kB\n"
	for _, test := range []struct {
		name             string
		root             map[string]string
		total, available int64
	}{
		{"nothing known", nil, 0, 0},
		{"no cgroup", map[string]string{"proc/meminfo": meminfo}, 8000 << 10, 6000 << 10},
		{"version 2, the parent is tighter", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "4096000\n", "sys/fs/cgroup/a/memory.current": "96000\n",
		}, 4096000, 4000000},
		{"version 2 in a container", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../outside\n", "sys/fs/cgroup/memory.max": "2048\n", "sys/fs/cgroup/memory.current": "4096\n",
		}, 2048, 0},
		{"version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "1024", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
		}, 1024, 1024},
		{"unreadable", map[string]string{"proc/meminfo": "MemTotal: many\n", "proc/self/cgroup": "nonsense\n"}, 0, 0},
	} {
		total, available := Memory(files(test.root))
		if total != test.total || available != test.available {
			t.Errorf("%s: got %d, %d, want %d, %d", test.name, total, available, test.total, test.available)
		}
	}
}

func TestCachesAndNodes(t *testing.T) {
	const cpu0 = "sys/devices/system/cpu/cpu0/cache/"
	root := files(map[string]string{
		cpu0 + "index0/level": "1\n", cpu0 + "index0/size": "32K\n", cpu0 + "index0/type": "Data\n", cpu0 + "index0/shared_cpu_list": "0\n",
		cpu0 + "index3/level": "3\n", cpu0 + "index3/size": "32768K\n", cpu0 + "index3/type": "Unified\n", cpu0 + "index3/shared_cpu_list": "0-7\n",
		cpu0 + "index4/level":             "4\n",
		"sys/devices/system/node/node0/x": "", "sys/devices/system/node/node1/x": "", "sys/devices/system/node/online": "",
	})
	if got, want := Caches(root), []string{"L1d 32K", "L3 32768K (shared by cores 0-7)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := NUMANodes(root); n != 2 {
		t.Errorf("got %d nodes", n)
	}
	if n := NUMANodes(files(nil)); n != 1 || Caches(files(nil)) != nil {
		t.Errorf("an unknown machine has %d nodes, caches %q", n, Caches(files(nil)))
	}
}

func TestNVIDIA(t *testing.T) {
	g := NVIDIA(files(map[string]string{
		"proc/driver/nvidia/version":                  "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54\nGCC version: 12\n",
		"proc/driver/nvidia/gpus/0000:01/information": "Model: \t\t NVIDIA A100 80GB PCIe\nIRQ: 1\n",
		"proc/driver/nvidia/gpus/0000:02/information": "Model: \t\t NVIDIA H100 NVL\n",
	}))
	if g.Driver != "NVIDIA UNIX x86_64 Kernel Module 550.54" || !slices.Equal(g.Models, []string{"NVIDIA A100 80GB PCIe", "NVIDIA H100 NVL"}) {
		t.Errorf("got %+v", g)
	}
	if g := NVIDIA(files(nil)); g.Driver != "" || g.Models != nil {
		t.Errorf("without a driver: %+v", g)
	}
}

func TestLibrary(t *testing.T) {
	root := files(map[string]string{
		"usr/local/cuda/lib64/libcublasLt.so.12": "", "usr/lib/libcublas.so.12": "", "opt/nccl/libnccl.so.2": "",
		"home/me/libnccl.so": "", "etc/ld.so.conf.d/nccl.conf": "# comment\n/opt/nccl\n",
	})
	for _, test := range []struct{ ldPath, name, want string }{
		{"", "libcublasLt.so", "/usr/local/cuda/lib64/libcublasLt.so.12"},
		{"", "libcublas.so", "/usr/lib/libcublas.so.12"},
		{"", "libnccl.so", "/opt/nccl/libnccl.so.2"},
		{":/nowhere:/home/me", "libnccl.so", "/home/me/libnccl.so"},
		{"", "libcuda.so", ""},
		{"", "libcublasL.so", ""},
	} {
		if got := Library(root, test.ldPath, test.name); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestThisMachine(t *testing.T) {
	if Cores() < 1 {
		t.Errorf("%d cores", Cores())
	}
}
