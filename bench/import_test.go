package main

import (
	"os"
	"strings"
	"testing"

	"ofpeak/results"
)

const importable = "case,device_name,source,utc_time,step_median_s\nprecision=fp16 model=gpt2,Ascend 910,a log,2026-05-01T10:00:00Z,0.01\n"

func TestImportAndExport(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("there.csv", []byte(importable), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := runCmd(newImportCmd, "there.csv", "-o", "rows.csv"); err != nil || out != "wrote rows.csv: 1 imported rows\n" {
		t.Fatalf("%q, %v", out, err)
	}
	f, err := results.Read("rows.csv")
	if err != nil || len(f.Rows) != 1 || f.Rows[0].Status != results.Imported {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := runCmd(newImportCmd, "there.csv", "-o", "rows.csv"); err == nil || !strings.HasPrefix(err.Error(), "--out rows.csv: exists already") {
		t.Errorf("written over: %v", err)
	}
	if out, err := runCmd(newExportCmd, "rows.csv", "--format", "jsonl"); err != nil || !strings.Contains(out, `"status":"imported"`) {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := runCmd(newExportCmd, "rows.csv", "--format", "openmetrics", "-o", "no/such"); err == nil || !strings.HasPrefix(err.Error(), "--out no/such: cannot be written") {
		t.Errorf("error %v", err)
	}
	if _, err := runCmd(newExportCmd, "rows.csv"); err == nil || err.Error() != "--format: is needed; use benchfmt, jsonl, parquet or openmetrics" {
		t.Errorf("error %v", err)
	}
}
