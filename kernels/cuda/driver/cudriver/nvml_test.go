package cudriver

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nvmlHeaders are NVIDIA's, and the one that go-nvml brings, through which the calls are made.
func nvmlHeaders(t *testing.T) map[string]string {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml").Output()
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{"go-nvml": filepath.Join(strings.TrimSpace(string(module)), "pkg/nvml/nvml.h")}
	for _, v := range versions {
		headers[v.name] = fetched(t, v.name+"/nvml.h")
	}
	return headers
}

func TestReadingFunctionsAgreeWithNVIDIA(t *testing.T) {
	for name, header := range nvmlHeaders(t) {
		t.Run(name, func(t *testing.T) {
			agree(t, fmt.Sprintf("#include %q\n", header), "nvml_functions.h", "NVML_FUNCTION", "type")
		})
	}
}

func TestReadingValuesAndLayoutsAgreeWithNVIDIA(t *testing.T) {
	assertions := constants(t, "nvml_values.h", 15, "sizeof(nvmlDevice_t) == 8", "sizeof(nvmlReturn_t) == 4", "sizeof(nvmlClockType_t) == 4", "sizeof(nvmlTemperatureSensors_t) == 4",
		"sizeof(nvmlMemory_t) == 24", "offsetof(nvmlMemory_t, total) == 0", "offsetof(nvmlMemory_t, free) == 8", "offsetof(nvmlMemory_t, used) == 16")
	for name, header := range nvmlHeaders(t) {
		t.Run(name, func(t *testing.T) { compile(t, fmt.Sprintf("#include %q\n", header)+assertions) })
	}
}
